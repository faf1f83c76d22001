"""Follow a trace of the running mediaha: ask what is new, show it, write it down, until it is over."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from mediaha.cli.ladder import Ladder
from mediaha.model.errors import MediahaError
from mediaha.ops.asking import Declined, ask
from mediaha.ops.tracing import TraceBegun, TracedMessage, TracedNow
from mediaha.sip.trace import PCAP_HEAD, pcap_record

ASK_S = 0.2
"""How often the running mediaha is asked what is new."""
QUIET_S = 3.0
"""A call that is over sends repetitions for a while; after this it is thought complete."""
WIDTH = 100
"""Of a ladder that goes to a file or a pipe."""


class CannotWrite(MediahaError):
    """The capture file cannot be written."""


def follow(call: str, *, pcap: Path | None, seconds: float, control: Path | None, json: bool) -> int:
    """Trace until the call is over. Raises NotServing, Declined, CannotWrite."""
    with ExitStack() as stack:
        begun = msgspec.convert(ask("trace", control, call=call, seconds=seconds), TraceBegun)
        capture = None if pcap is None else stack.enter_context(_Capture(pcap))
        _tell(_first_line(call, begun), json=json)
        ladder = Ladder(os.get_terminal_size().columns if sys.stdout.isatty() else WIDTH)
        count = 0
        for messages in _batches(begun, control):
            count += len(messages)
            _show(messages, None if json else ladder)
            if capture is not None:
                capture.add(messages)
        _tell(f"{count} message{'s' if count != 1 else ''}{f' in {pcap}' if pcap else ''}", json=json)
    return 0


def _first_line(call: str, begun: TraceBegun) -> str:
    if begun.under_way:
        return f"tracing call {call} from here on; Ctrl-C ends it"
    if begun.known:
        return f"call {call} is over; what may still come is shown, `mediaha explain` tells its story"
    return f"no call is called {call}: waiting for messages that mention it; Ctrl-C ends it"


def _batches(begun: TraceBegun, control: Path | None) -> Iterator[list[TracedMessage]]:
    """What comes, until the call or the trace is over. After Ctrl-C, what is there then is still shown."""
    quiet_since, dropped = time.monotonic(), 0
    interrupted: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        if interrupted:
            raise KeyboardInterrupt  # twice: at once
        interrupted.append(number)

    signal.signal(signal.SIGINT, interrupt)
    wanted = True
    while wanted:
        time.sleep(ASK_S)
        wanted = not interrupted
        try:
            now = msgspec.convert(ask("traced", control, trace=begun.trace), TracedNow)
        except Declined:
            return  # its time is up
        if now.dropped > dropped:
            print(f"{now.dropped - dropped} messages came too fast and are not here", file=sys.stderr)
            dropped = now.dropped
        if now.messages or now.under_way or not begun.known:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > QUIET_S:
            return
        yield now.messages
    ask("untrace", control, trace=begun.trace)


def _show(messages: Iterable[TracedMessage], ladder: Ladder | None) -> None:
    for one in messages:
        if ladder is None:
            text = one.message.decode("utf-8", "backslashreplace")
            print(msgspec.json.encode({**msgspec.to_builtins(one), "message": text}).decode())
        else:
            print(*ladder.lines(one.as_traced()), sep="\n")
    sys.stdout.flush()


class _Capture:
    """The capture file, emptied of what an earlier trace has left in it. Each step raises CannotWrite."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._said():
            # Whoever reads it reads who has called whom.
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
        self._write(PCAP_HEAD)

    def __enter__(self) -> _Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, messages: Iterable[TracedMessage]) -> None:
        """Write these messages down; a reader of the file sees them whole."""
        self._write(b"".join(pcap_record(one.as_traced()) for one in messages))

    def _write(self, data: bytes) -> None:
        with self._said():
            while data:
                data = data[self._file.write(data) :]

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotWrite(f"{self._path} cannot be written: {(error.strerror or str(error)).lower()}") from error


def _tell(line: str, *, json: bool) -> None:
    if not json:
        print(line, file=sys.stderr)
