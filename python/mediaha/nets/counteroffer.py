"""Phones of both address families ring together: those that the offer is not for are invited without one.

All phones of a user are offered the same media of one server, so that it has an address of one family, that of the
first. A phone of the other family could send nothing there, and many refuse the call then (488). Without an offer such
a phone rings, and makes one of its own when it answers:

    200 with an offer ─▶ the pool gets the caller's offer again, for the phone's family ─▶ ACK with the answer
                      ─▶ the pool gets the phone's offer as the answer ─▶ 200 to the caller

Both have made an offer then, and each one's is the answer to the other's (``sip/fitting.py``), as in ``pickup.py``.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.model.media import Anchored
from mediaha.nets import questions
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import end
from mediaha.nets.family import family_at, family_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Party, Relay, Step
from mediaha.sip.fitting import as_answer
from mediaha.sip.message import Response
from mediaha.sip.target import Target

MISFIT = "the callee's media does not fit the caller's"


def is_wanted(target: Target, offer: bytes) -> bool:
    """Whether this target can do nothing with the offer that those beside it get."""
    offered = family_of(offer)
    return offered is not None and offered is not family_at(target)


def fits(turn: Turn, response: Response) -> bool:
    """Whether caller and callee, who have both made an offer, can talk."""
    made, caller, callee = sdp_of(response), turn.call.caller, turn.call.callee
    return bool(as_answer(made, caller.sdp) and as_answer(callee.pending or callee.told, made))


def answered(turn: Turn, relay: Relay, ref: int, cseq: int, made: bytes) -> None:
    """The callee's 2xx with an offer: its ACK waits for the media server's address in its family."""
    fitted = as_answer(made, turn.call.caller.sdp) or b""
    turn.set_leg(Party.CALLEE, sdp=made, pending=b"")
    turn.relay(replace(relay, step=Step.PLACING, answer=fitted, ref=ref, ack_cseq=cseq))
    questions.withdraw(turn, About.EARLY)
    met = turn.leg(Party.CALLEE).met
    assert met is not None, "it was invited somewhere"
    questions.ask(turn, About.OFFER, Party.CALLER, turn.call.caller.sdp, family_of(made) or family_at(met))


def media_ready(turn: Turn, relay: Relay, anchored: Anchored) -> None:
    """The pool has taken the caller's offer again: what it made of that is the answer to the callee's."""
    answer = as_answer(questions.newest(turn, Party.CALLEE, anchored), turn.leg(Party.CALLEE).sdp)
    if answer is None:
        end(turn, 488, MISFIT)
        return
    turn.ack(Party.CALLEE, relay.ref, relay.ack_cseq, answer)
    turn.relay(replace(relay, step=Step.ANSWERING, ref=0, ack_cseq=0))
    questions.ask(turn, About.ANSWER, Party.CALLEE, relay.answer)
