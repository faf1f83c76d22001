"""Setting a call up: the caller's offer to the pool, the INVITE to one target after the other, ringing, the answer.

What targets answer decides where the INVITE goes next (N4): no response, an unreachable target and 503 pass on to the
next one; whatever else a target says is the callee's word and goes to the caller.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.model.media import Anchored, Fault, MediaRefused
from mediaha.nets import counteroffer, forks, questions, reliable
from mediaha.nets.call import Answered, Branch, Call, Placing, Refused, Ringing, Trying
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import end, give_up
from mediaha.nets.events import Tried
from mediaha.nets.family import family_at
from mediaha.nets.headers import Pairs, reason_of, warning_of
from mediaha.nets.inviting import branch_of, patience, try_target
from mediaha.nets.refusals import NO_WAY, declined, next_target, no_word, one_less, passed, took_ms
from mediaha.nets.relay import answer_arrived, connect, fail
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Open, Party, Relay, Step
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request, Response


def place(turn: Turn, offer: bytes) -> None:
    """The call has just been taken: ask for media; without an offer there is nothing to ask for yet."""
    call, dialog = turn.call, turn.call.caller.dialog
    domain, servers = call.domain, list(call.servers)
    if dialog is None:
        turn.note("placed", on_behalf_of=call.on_behalf_of, domain=domain, servers=servers)
    else:
        turn.note("placed", sip_call_id=dialog.call_id, domain=domain, servers=servers, offer=bool(offer))
    if offer:
        turn.set_leg(Party.CALLER, sdp=offer)
        questions.ask(turn, About.OFFER, Party.CALLER, offer, family_at(call.targets[0].target))
    else:
        try_target(turn, 0)


def media_ready(turn: Turn, anchored: Anchored) -> None:
    """The pool has media for the caller's offer."""
    phase = turn.call.phase
    assert isinstance(phase, Placing)
    turn.note("anchored", anchored.story, server=anchored.server)
    questions.placed(turn, anchored)
    turn.set_leg(Party.CALLEE, pending=questions.newest(turn, Party.CALLEE, anchored))
    try_target(turn, phase.next)


def media_failed(turn: Turn, refused: MediaRefused) -> None:
    """There is no media for the caller's offer, or the offer is at fault."""
    turn.note("no media", refused.story, fault=str(refused.fault), reason=refused.reason)
    if refused.fault in {Fault.CALLER, Fault.FAMILY}:
        end(turn, 488, refused.reason, headers=(warning_of(refused.reason),))
    else:
        end(turn, 503, refused.reason, headers=busy_headers(turn))


def busy_headers(turn: Turn) -> Pairs:
    """What goes with a 503 that is our own."""
    return (("Retry-After", str(turn.rules.limits.retry_after_s)),)


def responded(turn: Turn, item: Open, request: Request, response: Response) -> None:
    """A response to the INVITE that makes the call."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    branch = branch_of(turn, item)
    target = turn.call.targets[branch.target]
    if isinstance(phase, Trying) and not phase.heard and response.status not in target.failures:
        turn.effects.append(Tried(target))
    if response.status == 100:
        if isinstance(phase, Trying) and not phase.heard:
            turn.become(replace(phase, heard=True, until=turn.now + _ring_s(turn)))
        return
    # Whatever is asked in a dialog that this begins, or has begun, goes where the dialog is.
    turn.set_leg(Party.CALLEE, met=target.target)
    if response.status < 200:
        _provisional(turn, branch, request, response)
    elif response.status < 300:
        turn.close(item.ref)
        if branch.bare and not counteroffer.fits(turn, response):
            turn.effects.append(turn.stray(item, item.ref, request, response))
            one_less(turn, branch, Refused(488, counteroffer.MISFIT))
            return
        _leave_others(turn, branch)
        _answered(turn, item, branch, request, response)
    else:
        turn.close(item.ref)
        declined(turn, branch, request, response)


def _ring_s(turn: Turn) -> float:
    """How long the callee may ring. Phones of a lower q wait for those of a higher one, but not for ever."""
    phase, call, limits = turn.call.phase, turn.call, turn.rules.limits
    assert isinstance(phase, Trying | Ringing)
    return limits.phone_s_max if _phones_wait(call, phase.past) else limits.ring_s_max


def _phones_wait(call: Call, past: int) -> bool:
    return past < len(call.targets) and call.targets[past].is_phone


def _leave_others(turn: Turn, answered: Branch) -> None:
    """One phone has answered; the others need not say that they missed a call."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    for branch in phase.branches:
        if branch.ref != answered.ref:
            give_up(turn, branch.ref, (reason_of(200, "Call completed elsewhere"),))


def unanswered(turn: Turn, item: Open, *, unreachable: bool) -> None:
    """The INVITE got no response, or could not be sent."""
    turn.close(item.ref)
    branch = branch_of(turn, item)
    why = "unreachable" if unreachable else "no response"
    next_target(turn, branch, why, no_word(turn, branch, why, NO_WAY if unreachable else 408))


def overdue(turn: Turn) -> None:
    """The targets have been silent, or have been ringing, for too long."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    silent = isinstance(phase, Trying) and not phase.heard
    if phase.past >= len(turn.call.targets) or not (silent or _phones_wait(turn.call, phase.past)):
        end(turn, 480, "no answer", text="No answer")
        return
    for branch in phase.branches:
        give_up(turn, branch.ref)
        waited = patience(turn.rules.limits, turn.call.targets[branch.target])
        why = f"no response in {waited:g} s" if silent else "no answer"
        next_target(turn, branch, why, no_word(turn, branch, why, 408))


def early_ready(turn: Turn, sdp: bytes, anchored: Anchored) -> None:
    """The pool has taken an answer that came before the call was answered: the caller may hear it."""
    phase = turn.call.phase
    if isinstance(phase, Ringing) and phase.early == sdp:
        reliable.tell(turn, phase.status, phase.headers, anchored.sdp)


def early_failed(turn: Turn, refused: MediaRefused) -> None:
    """Ringing goes on without early media."""
    phase = turn.call.phase
    turn.note("no early media", refused.story, reason=refused.reason)
    if isinstance(phase, Ringing):
        reliable.tell(turn, phase.status, phase.headers)


def _provisional(turn: Turn, branch: Branch, request: Request, response: Response) -> None:
    """The callee rings, or says something in between (180, 181, 182, 183)."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    heard = forks.heard(turn, branch, request, response)
    if heard is None:
        return
    turn.learn(Party.CALLEE, response)
    dialogs, sdp = heard
    status, headers = response.status, passed(turn, branch, response)
    if isinstance(phase, Ringing):
        known = sdp == phase.early
        became = replace(phase, status=status, headers=headers, forks=dialogs, early=sdp or phase.early)
    else:
        known = False
        until = turn.now + _ring_s(turn)
        became = Ringing(
            phase.tx, phase.invite, phase.branches, phase.past, until, status, headers, early=sdp, forks=dialogs,
            refused=phase.refused,
        )  # fmt: skip
        turn.note("ringing", status=status, early_media=bool(sdp), took_ms=took_ms(turn, branch))
    turn.become(became)
    if sdp and not known:
        questions.withdraw(turn, About.EARLY)
        questions.ask(turn, About.EARLY, Party.CALLEE, sdp)
    else:
        reliable.tell(turn, status, headers)


def _early_answer(early: Ringing | None, response: Response) -> bytes:
    """What the callee has answered before it answered the call: on this early dialog, or else on any."""
    if early is None:
        return b""
    fork = forks.of(early.forks, response.to_tag)
    return (fork.sdp if fork is not None else b"") or early.early


def _answered(turn: Turn, item: Open, branch: Branch, request: Request, response: Response) -> None:
    """A 2xx: from now on there are two dialogs, and the answer has to reach the caller."""
    call, phase = turn.call, turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    early = phase if isinstance(phase, Ringing) else None
    try:
        dialog = forks.confirmed(early.forks if early else (), request, response)
    except Malformed as fault:
        turn.effects.append(turn.stray(item, item.ref, request, response))
        end(turn, 502, f"the callee's 200 is unusable: {fault}")
        return
    if turn.call.relay is not None:
        fail(turn, 500, "the call was answered before the change", (("Retry-After", "1"),))
    if early is not None and any(fork.dialog.remote_tag != dialog.remote_tag for fork in early.forks):
        turn.disregard(Party.CALLEE)
    turn.set_leg(Party.CALLEE, dialog=dialog)
    turn.refresh(Party.CALLEE, response)
    turn.note("answered", target=str(call.targets[branch.target]), took_ms=took_ms(turn, branch))
    turn.become(Answered(turn.now))
    delayed = not call.caller.sdp
    # Some callees put their answer into a provisional response only.
    sdp = sdp_of(response) or (b"" if branch.bare else _early_answer(early, response))
    relay = Relay(
        by=Party.CALLER, tx=phase.tx, method="INVITE", first=True,
        step=Step.PLACING if delayed else Step.ANSWERING, delayed=delayed, offer=call.caller.sdp,
    )  # fmt: skip
    turn.relay(relay)
    fork = forks.of(early.forks, response.to_tag) if early is not None and early.renewed else None
    if fork is not None and fork.agreed:
        turn.ack(Party.CALLEE, item.ref, request.cseq.number)
        turn.relay(replace(relay, answer=turn.leg(Party.CALLEE).sdp))
        connect(turn, turn.leg(Party.CALLER).pending or turn.leg(Party.CALLER).told)
    elif not sdp:
        turn.ack(Party.CALLEE, item.ref, request.cseq.number)
        end(turn, 502, "the callee's 200 has no SDP")
    elif branch.bare:
        counteroffer.answered(turn, relay, item.ref, request.cseq.number, sdp)
    elif delayed:
        answer_arrived(turn, item.ref, request.cseq.number, sdp)
    else:
        turn.ack(Party.CALLEE, item.ref, request.cseq.number)
        turn.relay(replace(relay, answer=sdp))
        questions.withdraw(turn, About.EARLY)
        if early is not None and early.renewed:
            # Not the phone that has changed the session is it that answers: the offer is the caller's again.
            turn.set_leg(Party.CALLEE, sdp=b"")
            questions.ask(turn, About.RESTORE, Party.CALLER, turn.leg(Party.CALLER).sdp)
        questions.ask(turn, About.ANSWER, Party.CALLEE, sdp)
