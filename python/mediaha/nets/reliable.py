"""Provisional responses to the caller that must arrive (RFC 3262): sent again until its PRACK, one at a time.

    tell ─▶ sent, doubling from T1 ─▶ PRACK ─▶ the next one that waits
                 └─▶ 64*T1 without PRACK: the call ends
    The 200 waits for the PRACK of a response that had the answer in it (section 5).

A caller that requires it gets all of them that way; one that only can, gets those with SDP: a 180 that is lost is no
harm, and each costs two more messages.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from mediaha.nets.call import Ringing
from mediaha.nets.ending import end
from mediaha.nets.expiry import options_untrusted
from mediaha.nets.headers import Pairs
from mediaha.nets.turn import Turn
from mediaha.nets.underway import NOBODY, Party, Provisional, Reliable
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import cseq_untrusted
from mediaha.sip.message import Message, Request
from mediaha.sip.sdp import without_origin

OPTION = "100rel"
RSEQ_FIRST_MAX = 2**31 - 1


class Acknowledgement(NamedTuple):
    """What a PRACK is about: RSeq of the response, CSeq number of the INVITE."""

    rseq: int
    cseq: int


def tell(turn: Turn, status: int, headers: Pairs, sdp: bytes = b"") -> None:
    """Give the caller a provisional response, with the media server's SDP if there is any."""
    call, phase = turn.call, turn.call.phase
    assert isinstance(phase, Ringing)
    promised, wanted = call.reliable, phase.invite.reliability
    if promised is not None and promised.answering:
        # The answer is given once; if it changes, an UPDATE says so, or what follows the 200.
        if sdp and without_origin(sdp) != without_origin(call.caller.told):
            turn.set_leg(Party.CALLER, pending=sdp)
        sdp = b""
    if phase.tx == NOBODY:
        # The one on whose behalf the call is made hears the early media, too, if it has nobody else to talk to.
        turn.set_leg(Party.CALLER, pending=sdp or call.caller.pending)
        turn.reply(NOBODY, status)
    elif not call.caller.sdp:
        # The first reliable response to an INVITE without an offer would have to make one (section 5).
        if wanted != "required":
            turn.reply_sdp(Party.CALLER, phase.tx, status, headers=headers)
    elif wanted == "required" or (wanted and sdp):
        _promise(turn, phase, Provisional(status, headers, sdp))
    else:
        turn.reply_sdp(Party.CALLER, phase.tx, status, headers=headers, sdp=sdp)


def look(turn: Turn) -> None:
    """Whether a response must be sent again, or has been for too long."""
    promised = turn.call.reliable
    if promised is None or promised.sent is None:
        return
    if promised.until <= turn.now:
        end(turn, 504, "the caller never acknowledged a provisional response", text="No PRACK")
    elif promised.resend_at <= turn.now:
        interval = 2 * promised.interval
        # A repetition says nothing new: what waits to be told waits on.
        pending = turn.leg(Party.CALLER).pending
        _put(turn, replace(promised, interval=interval, resend_at=turn.now + interval), promised.sent)
        turn.set_leg(Party.CALLER, pending=pending)


def acknowledged(turn: Turn, request: Request) -> bool:
    """Take a PRACK. False: it is about no response of ours that waits for one (481)."""
    promised, said = turn.call.reliable, acknowledgement_untrusted(request)
    if promised is None or said != (promised.rseq, promised.cseq) or promised.acknowledged:
        return False
    agreed = promised.agreed or (promised.sent is not None and bool(promised.sent.sdp))
    turn.call = replace(turn.call, reliable=replace(promised, acknowledged=True, agreed=agreed, sent=None))
    return True


def go_on(turn: Turn) -> None:
    """Send what has waited for a PRACK."""
    promised = turn.call.reliable
    if promised is not None and promised.sent is None and promised.waiting and isinstance(turn.call.phase, Ringing):
        _next(turn, replace(promised, waiting=promised.waiting[1:]), promised.waiting[0])


def holds_back(turn: Turn) -> bool:
    """Whether the 200 must wait for a PRACK."""
    promised = turn.call.reliable
    return promised is not None and promised.sent is not None and bool(promised.sent.sdp)


def acknowledgement_untrusted(request: Request) -> Acknowledgement | None:
    """RAck of a PRACK; None when it cannot be read or is about no INVITE."""
    number, _, rest = (request.headers.get("RAck") or "").strip().partition(" ")
    try:
        cseq = cseq_untrusted(rest)
    except Malformed:
        return None
    rseq = _number(number)
    return Acknowledgement(rseq, cseq.number) if rseq and cseq.method == "INVITE" else None


def rseq_untrusted(response: Message) -> int:
    """RSeq of a response that must be acknowledged; 0 when it is an ordinary one."""
    if "RSeq" not in response.headers or OPTION not in options_untrusted(response, "Require"):
        return 0
    return _number((response.headers.get("RSeq") or "").strip())


def _promise(turn: Turn, phase: Ringing, one: Provisional) -> None:
    promised = turn.call.reliable
    if promised is None:
        # The first number is drawn, and leaves room above it (section 3).
        first = 1 + int(turn.chance("rseq") * (RSEQ_FIRST_MAX // 2))
        blank = Reliable(tx=phase.tx, cseq=phase.invite.cseq, rseq=first - 1, interval=0.0, resend_at=0.0, until=0.0)
        _next(turn, blank, one)
    elif promised.sent is None:
        _next(turn, promised, one)
    else:
        # Of those that have to wait, what is newer takes the place of what is older; the answer stays.
        waiting = (*(earlier for earlier in promised.waiting if earlier.sdp), one)
        turn.call = replace(turn.call, reliable=replace(promised, waiting=waiting))


def _next(turn: Turn, promised: Reliable, one: Provisional) -> None:
    """Send another one."""
    limits = turn.rules.limits
    interval = limits.request_s_max / 64
    _put(
        turn,
        replace(
            promised, rseq=promised.rseq + 1, acknowledged=False, interval=interval, resend_at=turn.now + interval,
            until=turn.now + limits.request_s_max,
        ),
        one,
    )  # fmt: skip


def _put(turn: Turn, promised: Reliable, one: Provisional) -> None:
    turn.call = replace(turn.call, reliable=replace(promised, sent=one))
    headers = (("Require", OPTION), ("RSeq", str(promised.rseq)), *one.headers)
    turn.reply_sdp(Party.CALLER, promised.tx, one.status, headers=headers, sdp=one.sdp)


def _number(text: str) -> int:
    # Ten digits bound the conversion; an RSeq is a 32-bit number (section 7.1).
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return 0
    return int(text)
