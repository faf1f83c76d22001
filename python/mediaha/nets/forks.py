"""The early dialogs of our INVITE: a target that is a proxy may ring several phones, and each is a dialog of its own.

A provisional response that must be acknowledged gets its PRACK here (RFC 3262 section 4), in its own dialog. Once
such a response has brought the answer, offer and answer are complete there, and UPDATE may change them.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets.call import Branch, Fork, Ringing, Trying
from mediaha.nets.compose import sdp_of
from mediaha.nets.reliable import rseq_untrusted
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Party
from mediaha.sip.dialog import Dialog
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request, Response

FORKS_MAX = 8
"""Early dialogs that are kept; what others say is passed on, but never acknowledged."""


def heard(turn: Turn, branch: Branch, request: Request, response: Response) -> tuple[tuple[Fork, ...], bytes] | None:
    """The early dialogs after a provisional response to the INVITE of ``branch``, and the SDP that is news.

    The dialog that it came by is the last of them. None: the response is a repetition, or one before it is missing and
    will be sent again (section 4).
    """
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    forks = phase.forks if isinstance(phase, Ringing) else ()
    sdp = sdp_of(response) if turn.leg(Party.CALLEE).told and not branch.bare else b""
    fork = of(forks, response.to_tag)
    others = tuple(one for one in forks if one is not fork)
    if fork is None:
        fork = _begun(branch.ref, request, response) if len(forks) < FORKS_MAX else None
    if fork is None:
        return forks, sdp
    rseq = rseq_untrusted(response)
    if rseq:
        if fork.rseq and rseq != fork.rseq + 1:
            return None
        dialog = turn.prack(fork.dialog, rseq, request.cseq.number)
        fork = replace(fork, dialog=dialog, rseq=rseq)
    if fork.agreed:
        sdp = b""  # the answer has been given, and is given once (RFC 3261 section 13.2.1)
    elif sdp:
        fork = replace(fork, sdp=sdp, agreed=rseq > 0)
    return (*others, fork), sdp


def of(forks: tuple[Fork, ...], tag: str) -> Fork | None:
    """The early dialog with the party of this tag."""
    for fork in forks:
        if fork.dialog.remote_tag == tag:
            return fork
    return None


def confirmed(forks: tuple[Fork, ...], request: Request, response: Response) -> Dialog:
    """The dialog that a 2xx confirms: one that was early, or a new one. Raises Malformed."""
    fork = of(forks, response.to_tag)
    fresh = Dialog.from_response(request, response)
    if fork is None:
        return fresh
    # Only our count of requests goes on; the rest is as the 2xx says (RFC 3261 section 13.2.2.4).
    return fork.dialog.answered(response)


def _begun(ref: int, request: Request, response: Response) -> Fork | None:
    if not response.to_tag:
        return None
    try:
        return Fork(ref=ref, dialog=Dialog.from_response(request, response))
    except Malformed:
        return None
