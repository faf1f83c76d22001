"""What SIPp does as a party of a call whose media moves: pieces of scenarios, and two parties talking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.rtp import RtpEndpoint, audio_addresses
from tests.peers.sipp import (
    Sipp,
    Step,
    expect,
    invite,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)
from tests.peers.site import Site

RINGS = [take("INVITE"), respond(180, "Ringing")]
ANSWERS = [respond(200, "OK", "sendrecv"), take("ACK")]
CALLS = [invite(), *provisional(), expect(200, pattern="m=audio"), request("ACK")]
IS_TOLD = [take("INVITE", pattern="m=audio"), respond_in_dialog(200, "OK", "sendrecv"), take("ACK")]
"""It obeys a re-INVITE."""
HANGS_UP = [request("BYE"), expect(200)]
IS_HUNG_UP = [take("BYE"), respond_in_dialog(200, "OK")]


def is_ended(cause: int, within_s: int = 20) -> list[Step]:
    """It gets a BYE that says why (RFC 3326)."""
    why = take("BYE", pattern=f"Reason: SIP;cause={cause};", timeout_ms=within_s * 1000)
    return [why, respond_in_dialog(200, "OK")]


@dataclass(frozen=True)
class Pair:
    """A caller and a callee, each a SIPp with a socket for its audio that the story owns."""

    caller: Sipp
    callee: Sipp
    caller_audio: RtpEndpoint
    callee_audio: RtpEndpoint

    def told(self, who: Sipp) -> tuple[str, int]:
        """Where the site last told a party to send its audio."""
        return audio_addresses(who.messages(), received=True)[-1]

    def wait(self, timeout: float = 40) -> None:
        """Wait until both have gone through their scenarios."""
        self.caller.wait(timeout)
        self.callee.wait(timeout)


@contextmanager
def pair(
    site: Site,
    folder: Path,
    caller: list[Step],
    callee: list[Step],
    *,
    name: str = "",
    extra: tuple[str, ...] = (),
) -> Iterator[Pair]:
    """One call between two SIPps through ``site``; ``extra`` goes to the callee's command line."""
    caller_audio, callee_audio = RtpEndpoint(ssrc=0xA), RtpEndpoint(ssrc=0xB)
    called = Sipp(callee, folder, f"callee{name}", port=site.target_port, rtp_port=callee_audio.port, extra=extra)
    calling = Sipp(caller, folder, f"caller{name}", remote=site.address, rtp_port=caller_audio.port)
    try:
        with called, calling:
            yield Pair(calling, called, caller_audio, callee_audio)
    finally:
        caller_audio.close()
        callee_audio.close()
