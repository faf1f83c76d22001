"""Follow a trace of the running mediaha: ask what is new, show it, write it down, until it is over."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

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
        capture = None if pcap is None else stack.enter_context(_opened(pcap))
        begun = msgspec.convert(ask("trace", control, call=call, seconds=seconds), TraceBegun)
        _tell(_first_line(call, begun), json=json)
        ladder = Ladder(os.get_terminal_size().columns if sys.stdout.isatty() else WIDTH)
        count = 0
        for messages in _batches(begun, control):
            count += len(messages)
            _show(messages, None if json else ladder)
            if capture is not None:
                capture.writelines(pcap_record(one.as_traced()) for one in messages)
                capture.flush()
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


def _opened(pcap: Path) -> BinaryIO:
    try:
        # Whoever reads it reads who has called whom.
        capture = os.fdopen(os.open(pcap, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    except OSError as error:
        raise CannotWrite(f"{pcap} cannot be written: {(error.strerror or str(error)).lower()}") from error
    capture.write(PCAP_HEAD)
    return capture


def _tell(line: str, *, json: bool) -> None:
    if not json:
        print(line, file=sys.stderr)
