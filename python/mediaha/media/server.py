"""Runs one media server inside this process and writes its records to the log."""

from __future__ import annotations

import json
from typing import Any

import structlog
import trio

from mediaha import _core
from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec

log = structlog.get_logger("media")


class MediaServerFailed(MediahaError):
    """The media server has stopped by itself; its control port is closed, its calls are lost. Start a new process."""


class RunningMedia:
    """A media server that is being served."""

    def __init__(self, core: _core.MediaServer) -> None:
        self._core = core

    @property
    def ng(self) -> Address:
        """Where the control port is bound."""
        return Address.parse(self._core.listen_ng)

    def drain(self, draining: bool = True) -> None:
        """Refuse new calls, or take them again; those that are there go on."""
        self._core.drain(draining)

    def statistics(self) -> dict[str, Any]:
        """Calls, streams, packets and refusals. Waits for the control thread's next round, which is a moment."""
        statistics: dict[str, Any] = json.loads(self._core.statistics())
        return statistics


async def serve_media(
    spec: MediaServerSpec,
    *,
    line: _core.Line | None = None,
    task_status: trio.TaskStatus[RunningMedia] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Relay until cancelled, or until another process has taken over; the threads have ended when this returns.

    On a ``line`` to a keeper, what the server leaves outlives this process, and it goes on where another one stopped.
    Raises MediahaError when a socket cannot be bound (the text names it), MediaServerFailed when the relay has
    stopped by itself.
    """
    core = _core.MediaServer(
        listen_ng=str(spec.ng),
        interfaces=spec.interfaces,
        ports=spec.ports,
        name=spec.name,
        workers=spec.workers,
        sessions_max=spec.sessions_max,
        silence_timeout_s=spec.silence_s_max,
        held_timeout_s=spec.held_s_max,
        orphan_timeout_s=spec.orphan_s_max,
        busy_percent_max=spec.busy_percent_max,
        dscp=spec.dscp,
        datapath=spec.datapath,
        line=line,
    )
    try:
        task_status.started(RunningMedia(core))
        while (failure := core.failure) is None:
            await trio.lowlevel.wait_readable(core.fileno())
            _write(core.records(), spec.name)
            if core.handed_over:
                return
        raise MediaServerFailed(f"the media server {spec.name} has stopped: {failure}")
    finally:
        core.close()
        _write(core.records(), spec.name)


def _write(records: list[_core.Record], server: str) -> None:
    for record in records:
        facts = json.loads(record.fields)
        facts["server"] = facts.pop("name", server)
        getattr(log, record.level)(record.event, **facts)
