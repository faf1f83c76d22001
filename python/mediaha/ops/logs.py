"""Logs through structlog: one line a decision, with the call's id, as JSON for machines or coloured for people.

``log_to(...)`` is called once by a program. A library that imports mediaha keeps its own structlog configuration.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from mediaha.ops.levels import LogFormat, LogLevel
from mediaha.ops.sink import LineSink


@contextmanager
def log_to(fd: int, form: LogFormat, level: LogLevel) -> Iterator[LineSink]:
    """Send all logs of this process to ``fd`` while the block lasts; what is queued is written at its end."""
    sink = LineSink(fd, _drop_notice_json if form is LogFormat.JSON else _drop_notice_text)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _renderer(form, colours=os.isatty(fd)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _SinkLogger(sink),
        cache_logger_on_first_use=False,
    )
    try:
        yield sink
    finally:
        sink.close()
        structlog.reset_defaults()


class _SinkLogger:
    """The end of structlog's chain: every level writes the rendered line."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink

    def msg(self, line: str) -> None:
        self._sink.write(line)

    debug = info = warning = error = critical = exception = log = fatal = warn = msg


Fields = MutableMapping[str, Any]


def _renderer(form: LogFormat, *, colours: bool) -> structlog.typing.Processor:
    if form is LogFormat.JSON:
        return _as_json
    console = structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="time", pad_event_to=CONSOLE_EVENT_WIDTH)

    def as_text(logger: object, name: str, fields: Fields) -> str:
        if isinstance(when := fields.get("time"), str):
            fields["time"] = when[11:23]  # a person at a terminal knows the date
        return str(console(logger, name, fields))

    return as_text


CONSOLE_EVENT_WIDTH = 34


def _as_json(_logger: object, _name: str, fields: Fields) -> str:
    """One JSON object with the time first. A value that JSON cannot hold is written as its text."""
    ordered = {"time": fields.pop("time", None), "level": fields.pop("level", None), "event": fields.pop("event", "")}
    try:
        return msgspec.json.encode({**ordered, **fields}, enc_hook=_as_text).decode()
    except Exception as error:
        # A line that cannot be written must not end the call that it is about.
        return msgspec.json.encode({**ordered, "unwritable": repr(error)}, enc_hook=_as_text).decode()


def _as_text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _drop_notice_json(count: int) -> str:
    return msgspec.json.encode({"level": "warning", "event": "log lines dropped", "count": count}).decode()


def _drop_notice_text(count: int) -> str:
    return f"(here {count} log lines are missing: they could not be written fast enough)"


def stderr_format() -> LogFormat:
    """What suits the place that standard error goes to."""
    return LogFormat.CONSOLE if sys.stderr.isatty() else LogFormat.JSON
