"""The parties of a soak: SIPp that puts up with what a bad network does, and with media that moves.

By itself SIPp ends a call at every message that its scenario does not name, and knows a repeated one only while it is
the last that it has answered. So these scenarios name what may come again (an INVITE after its 200, a BYE whose 200
was lost) and what may come at any time: the re-INVITE of a call whose media server has died.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.peers.sipp import (
    Step,
    ack_failure,
    acknowledges,
    again,
    answers,
    begins,
    cancel,
    expect,
    ignore,
    invite,
    label,
    linger,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    respond_to_invite,
    take,
    to_xml,
    until_listening,
)

LINGER_MS = 8000
"""For so long a BYE that comes again is answered again."""
MOVED, TALKING, OVER, RINGING, NOT_TAKEN, END = "1", "2", "3", "4", "5", "6"
LAZY = "lazy.test"
"""The domain of those who never answer."""

# SIPp writes one warning behind the other, without an end of the line.
_GIVEN_UP = (
    re.compile(r"Aborting call on [^'\r\n]{0,99}'(?P<call_id>[^'\r\n]+)'[^\r\n]{0,200}"),
    re.compile(r"Aborting call on an unexpected \w+ for call: (?P<call_id>\S+?)(?=\d{4}-\d\d-\d\d\s|\s|$)"),
)

NO_ROOM = expect(503, optional=True, then=NOT_TAKEN)
"""On a machine that stands still for a moment, NeTS takes no new calls until it has read what has come meanwhile."""


def callee() -> list[Step]:
    """Rings, answers, and waits for the caller to hang up."""
    # Whoever hangs up does not know that his ACK was lost.
    until_acked = [ignore("INVITE"), take("BYE", optional=True, then=OVER), take("ACK", then=TALKING)]
    rings = [take("INVITE"), respond(180, "Ringing"), respond(200, "OK", "sendrecv"), *until_acked]
    moves = [label(MOVED), respond_in_dialog(200, "OK", "sendrecv"), *until_acked]
    talks = [label(TALKING), ignore("ACK"), take("INVITE", optional=True, then=MOVED), take("BYE")]
    return [*rings, *moves, *talks, label(OVER), respond_in_dialog(200, "OK"), linger(LINGER_MS)]


def lazy_callee() -> list[Step]:
    """Rings, and rings."""
    rings = [take("INVITE"), respond(180, "Ringing"), ignore("INVITE"), take("CANCEL"), respond(200, "OK")]
    ends = [again(respond_to_invite(487, "Request Terminated")), ignore("CANCEL"), take("ACK"), linger(LINGER_MS)]
    return [*rings, *ends]


def impatient_caller() -> list[Step]:
    """Calls the lazy one, and gives up as soon as it may."""
    rings = answers("call", expect(100, optional=True, then=RINGING), NO_ROOM, expect(180))
    gives_up = [label(RINGING), pause(300), again(cancel())]
    ends = [ignore(200), *answers("call", expect(487)), label(NOT_TAKEN), acknowledges("call", ack_failure())]
    return [begins("call", invite(host=LAZY)), *rings, *gives_up, *ends, linger(LINGER_MS)]


def caller(talk_ms: int) -> list[Step]:
    """Calls, talks for so long since it was last told where its media is, and hangs up."""
    # Whoever is just about to say BYE answers no INVITE any more; while it talks, a step of its own takes it.
    answered = [ignore("INVITE"), *answers("call", *provisional(), NO_ROOM, expect(200))]
    calls = [begins("call", invite()), *answered, acknowledges("call", request("ACK"))]
    talks = [label(TALKING), take("INVITE", timeout_ms=talk_ms, overdue=OVER)]
    moves = [respond_in_dialog(200, "OK", "sendrecv"), take("ACK", then=TALKING)]
    ends = [
        label(OVER),
        begins("end", request("BYE")),
        ignore("ACK"),
        *answers("end", expect(200, then=END)),
    ]
    refused = [label(NOT_TAKEN), ack_failure(), linger(LINGER_MS)]
    return [*calls, *talks, *moves, *ends, *refused, label(END)]


class Phones:
    """A SIPp with many calls, which writes down how many failed and why: all messages would fill the disk."""

    def __init__(self, folder: Path, name: str, steps: list[Step], port: int, *arguments: str) -> None:
        (folder / f"{name}.xml").write_text(to_xml(steps))
        self.name = name
        self.port = port
        self._errors = folder / f"{name}.errors"
        self._statistics = folder / f"{name}.csv"
        command = ["sipp", "-sf", f"{name}.xml", "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-s", "desk", "-aa"]
        command += ["-key", "rtp_port", "6000", "-key", "contact", f"127.0.0.1:{port}", "-t", "u1"]
        command += ["-buff_size", str(2 << 20), "-trace_stat", "-stf"]
        command += [str(self._statistics), "-trace_err", "-error_file", str(self._errors), *arguments]
        with (folder / f"{name}.screen").open("wb") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=folder, env={**os.environ, "TERM": "dumb"}
            )
        until_listening(self._process, port)

    @property
    def ended(self) -> bool:
        """Whether all its calls are over, and it was not us who ended it."""
        return self._process.poll() is not None and self._process.returncode >= 0

    def vanish(self) -> None:
        """From now on it hears nothing and says nothing; its port stays open."""
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Phones:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def failed(self) -> int:
        """How many of its calls did not go as its scenario says, by its own count at its end."""
        names, *_, last = (line.split(";") for line in self._statistics.read_text().splitlines())
        return int(last[names.index("FailedCall(C)")])

    def why(self) -> dict[str, str]:
        """Why it has given calls up, by their Call-ID; in SIPp's words."""
        told = self._errors.read_text(errors="replace") if self._errors.exists() else ""
        return {found["call_id"]: found[0] for pattern in _GIVEN_UP for found in pattern.finditer(told)}
