"""Setting a call up: the caller's offer to the pool, the INVITE to one target after the other, ringing, the answer.

What targets answer decides where the INVITE goes next (N4): no response, an unreachable target and 503 pass on to the
next one; whatever else a target says is the callee's word and goes to the caller.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.model.media import Anchored, Fault, MediaRefused
from mediaha.nets import forks, questions, reliable
from mediaha.nets.call import Answered, Branch, Call, Leg, Placing, Refused, Ringing, Trying, name
from mediaha.nets.compose import first_invite, once_more, sdp_of
from mediaha.nets.destination import Destination
from mediaha.nets.ending import end, give_up
from mediaha.nets.events import Send, Tried
from mediaha.nets.headers import OF_REFUSALS, Pairs, passed_on, reason_of, warning_of
from mediaha.nets.identity import callee_for
from mediaha.nets.relay import answer_arrived, connect, fail
from mediaha.nets.rules import Limits
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Open, Party, Purpose, Relay, Step
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request, Response

NO_WAY = 503
"""For a caller whose callee cannot be reached from here: a call manager then tries its other route (TR4). Without a
Retry-After it says nothing about our own state (RFC 3261 section 21.5.4), so other calls still come."""


SAY_LITTLE = frozenset({408, 480, 481, 482, 503})
"""Of several phones that did not answer, one that said something else is worth more to the caller."""


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
        questions.ask(turn, About.OFFER, Party.CALLER, offer)
    else:
        try_target(turn, 0)


def media_ready(turn: Turn, anchored: Anchored) -> None:
    """The pool has media for the caller's offer."""
    turn.note("anchored", anchored.story, server=anchored.server)
    questions.placed(turn, anchored)
    turn.set_leg(Party.CALLEE, pending=questions.newest(turn, Party.CALLEE, anchored))
    try_target(turn, 0)


def media_failed(turn: Turn, refused: MediaRefused) -> None:
    """There is no media for the caller's offer, or the offer is at fault."""
    turn.note("no media", refused.story, fault=str(refused.fault), reason=refused.reason)
    if refused.fault is Fault.CALLER:
        end(turn, 488, refused.reason, headers=(warning_of(refused.reason),))
    else:
        end(turn, 503, refused.reason, headers=busy_headers(turn))


def busy_headers(turn: Turn) -> Pairs:
    """What goes with a 503 that is our own."""
    return (("Retry-After", str(turn.rules.limits.retry_after_s)),)


def try_target(turn: Turn, index: int) -> None:
    """Send the INVITE to target number ``index``, and to those that are tried beside it, in a dialog of its own.

    To several it is one INVITE that we have forked ourselves (section 16.6): what comes back differs in its To tag.
    """
    call, phase = turn.call, turn.call.phase
    assert isinstance(phase, Placing | Trying | Ringing)
    sdp = call.callee.pending or call.callee.told
    past = _past(turn, index)
    first = call.targets[index]
    number = turn.number()
    # What an earlier target was told is of no concern to this one: tag, Call-ID and o= line are new.
    tag = name(call.seed, f"callee {number}")
    leg = Leg(tag=tag, met=first.target, by_flow=first.is_phone, trunk=first.trunk)
    turn.call = replace(turn.call, callee=leg)
    body = turn.told(Party.CALLEE, sdp) if sdp else b""
    branches = tuple(
        _invite(turn, one, name(call.seed, f"call-id {number}"), number if one == index else turn.number(), body)
        for one in range(index, past)
    )
    limits = turn.rules.limits
    more = past < len(call.targets)
    until = turn.now + (patience(limits, first) if more else limits.ring_s_max)
    turn.become(Trying(phase.tx, phase.invite, branches, past, until, refused=_refused_before(phase)))


def _past(turn: Turn, index: int) -> int:
    """The number of the first target that is not tried together with this one."""
    targets = turn.call.targets
    past = index + 1
    while past < len(targets) and targets[past].beside:
        past += 1
    return past


def _refused_before(phase: Placing | Trying | Ringing) -> Refused | None:
    return None if isinstance(phase, Placing) else phase.refused


def _invite(turn: Turn, index: int, call_id: str, ref: int, body: bytes) -> Branch:
    """Our INVITE to one target."""
    phase, target = turn.call.phase, turn.call.targets[index]
    assert isinstance(phase, Placing | Trying | Ringing)
    turn.set_leg(Party.CALLEE, met=target.target)
    # Without an offer, what had to be acknowledged would bring one, before the caller could be asked for the answer.
    session = turn.session_fields(Party.CALLEE, reliably=bool(body))
    tag = turn.leg(Party.CALLEE).tag
    request = first_invite(phase.invite, target, call_id=call_id, tag=tag, session=session, body=body)
    turn.opened(Open(ref=ref, party=Party.CALLEE, purpose=Purpose.SETUP, met=target.target))
    turn.note("invited", target=str(target), sip_call_id=request.call_id)
    turn.effects.append(Send(ref, request, target.target))
    return Branch(ref, index, turn.now)


def patience(limits: Limits, target: Destination) -> float:
    """How long a target may be silent when there is another one."""
    return limits.target_s_max if target.try_s_max is None else target.try_s_max


def next_target(turn: Turn, branch: Branch, why: str, refused: Refused, *, retry_after: str | None = None) -> None:
    """This target is of no use. Unless others have the INVITE still, the next one gets it, or the caller a refusal."""
    target = turn.call.targets[branch.target]
    turn.note("passed over", target=str(target), why=why, took_ms=_took_ms(turn, branch))
    turn.effects.append(Tried(target, why, retry_after))
    _one_less(turn, branch, refused)


def _one_less(turn: Turn, branch: Branch, refused: Refused) -> None:
    """The branch has come to nothing."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    left = tuple(one for one in phase.branches if one.ref != branch.ref)
    best = _better(phase.refused, refused)
    if isinstance(phase, Ringing):
        if any(fork.agreed and fork.ref == branch.ref for fork in phase.forks):
            _leave_early(turn)
            phase = replace(phase, renewed=False)
        phase = replace(phase, forks=tuple(fork for fork in phase.forks if fork.ref != branch.ref))
    turn.become(replace(phase, branches=left, refused=best))
    if left:
        return
    questions.withdraw(turn, About.EARLY)
    _leave_early(turn)
    if phase.past < len(turn.call.targets):
        try_target(turn, phase.past)
    else:
        end(turn, best.status, best.why, headers=best.headers)


def _better(one: Refused | None, other: Refused) -> Refused:
    """What tells the caller more (16.7 step 6): what somebody has said, and of that the lowest class."""
    if one is None:
        return other
    return min(one, other, key=lambda refused: (refused.status in SAY_LITTLE, refused.status // 100))


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
        _leave_others(turn, branch)
        _answered(turn, item, branch, request, response)
    else:
        turn.close(item.ref)
        _refused(turn, branch, request, response)


def _ring_s(turn: Turn) -> float:
    """How long the callee may ring. Phones of a lower q wait for those of a higher one, but not for ever."""
    phase, call, limits = turn.call.phase, turn.call, turn.rules.limits
    assert isinstance(phase, Trying | Ringing)
    return limits.phone_s_max if _phones_wait(call, phase.past) else limits.ring_s_max


def _phones_wait(call: Call, past: int) -> bool:
    return past < len(call.targets) and call.targets[past].is_phone


def branch_of(turn: Turn, item: Open) -> Branch:
    """The branch that this INVITE of ours is."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    return next(branch for branch in phase.branches if branch.ref == item.ref)


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
    next_target(turn, branch, why, _silent(turn, branch, why, NO_WAY if unreachable else 408))


def _silent(turn: Turn, branch: Branch, why: str, status: int) -> Refused:
    """Nobody said a word. A user whose phones are away is away (480); that is no trouble of ours."""
    if turn.call.targets[branch.target].is_phone:
        return Refused(480, f"no phone answered; the last: {why}")
    return Refused(status, f"no target answered; the last: {why}")


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
        next_target(turn, branch, why, _silent(turn, branch, why, 408))


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
    heard = forks.heard(turn, branch.ref, request, response)
    if heard is None:
        return
    turn.learn(Party.CALLEE, response)
    dialogs, sdp = heard
    status, headers = response.status, _passed(turn, branch, response)
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
        turn.note("ringing", status=status, early_media=bool(sdp), took_ms=_took_ms(turn, branch))
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


def _leave_early(turn: Turn) -> None:
    """What was being changed with a callee that is left now is over; the caller's offer holds again."""
    if turn.call.relay is not None:
        fail(turn, 500, "the callee is left", (("Retry-After", "1"),))
    turn.disregard(Party.CALLEE)
    if isinstance(turn.call.phase, Ringing) and turn.call.phase.renewed:
        questions.ask(turn, About.RESTORE, Party.CALLER, turn.leg(Party.CALLER).sdp)


def _refused(turn: Turn, branch: Branch, request: Request, response: Response) -> None:
    status = response.status
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    target = turn.call.targets[branch.target]
    silent = isinstance(phase, Trying)  # a 408 after ringing is the callee who did not answer
    if status == 422 and turn.raised(Party.CALLEE, request, response):
        _send_again(turn, branch, request)
    elif status in target.failures or (status == 408 and silent):
        why = f"answered {status}"
        refused = _silent(turn, branch, why, NO_WAY if status == 503 else status)
        next_target(turn, branch, why, refused, retry_after=response.headers.get("Retry-After"))
    else:
        answer = f"{status} {response.reason}"
        turn.note("turned down", target=str(target), answer=answer, took_ms=_took_ms(turn, branch))
        headers = _passed(turn, branch, response, OF_REFUSALS - {"contact"} if status >= 400 else OF_REFUSALS)
        refused = Refused(_passed_status(status), f"the callee answered {answer}", headers)
        if target.is_phone and status < 600:
            _one_less(turn, branch, refused)
        else:  # nobody else is to be asked (section 16.7 step 5)
            end(turn, refused.status, refused.why, headers=headers)


def _passed(turn: Turn, branch: Branch, response: Response, *more: frozenset[str]) -> Pairs:
    """What the caller may know of a target's response."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    target = turn.call.targets[branch.target]
    return callee_for(passed_on(response, *more), target, trusted=phase.invite.trusted)


def _send_again(turn: Turn, branch: Branch, request: Request) -> None:
    """The target wants the same INVITE with a longer session interval: the same call to it, the next CSeq."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    ref = turn.number()
    target = turn.call.targets[branch.target]
    branches = (replace(one, ref=ref) if one.ref == branch.ref else one for one in phase.branches)
    turn.become(replace(phase, branches=tuple(branches)))
    turn.opened(Open(ref=ref, party=Party.CALLEE, purpose=Purpose.SETUP, met=target.target))
    session = turn.session_fields(Party.CALLEE, reliably=bool(request.body))
    turn.effects.append(Send(ref, once_more(request, session), target.target))


def _took_ms(turn: Turn, branch: Branch) -> float:
    """How long ago the target got our INVITE."""
    return round((turn.now - branch.sent_at) * 1000, 3)


def _passed_status(status: int) -> int:
    """A refusal as the caller gets it."""
    if status in {401, 407}:
        return 403  # the challenge is for NeTS, which has no credentials for it; the caller could not answer it
    if status == 422:
        return 500  # the session interval is between NeTS and the callee
    if status == 487:
        return 480  # nobody here has cancelled: whoever did is behind the callee
    return status


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
    turn.note("answered", target=str(call.targets[branch.target]), took_ms=_took_ms(turn, branch))
    turn.become(Answered(turn.now))
    delayed = not call.caller.sdp
    # Some callees put their answer into a provisional response only.
    sdp = sdp_of(response) or _early_answer(early, response)
    relay = Relay(
        by=Party.CALLER, tx=phase.tx, method="INVITE", first=True,
        step=Step.PLACING if delayed else Step.ANSWERING, delayed=delayed, offer=call.caller.sdp,
    )  # fmt: skip
    turn.relay(relay)
    if early is not None and early.renewed and forks.of(early.forks, response.to_tag) is not None:
        turn.ack(Party.CALLEE, item.ref, request.cseq.number)
        turn.relay(replace(relay, answer=turn.leg(Party.CALLEE).sdp))
        connect(turn, turn.leg(Party.CALLER).pending or turn.leg(Party.CALLER).told)
    elif not sdp:
        turn.ack(Party.CALLEE, item.ref, request.cseq.number)
        end(turn, 502, "the callee's 200 has no SDP")
    elif delayed:
        answer_arrived(turn, item.ref, request.cseq.number, sdp)
    else:
        turn.ack(Party.CALLEE, item.ref, request.cseq.number)
        turn.relay(replace(relay, answer=sdp))
        questions.withdraw(turn, About.EARLY)
        questions.ask(turn, About.ANSWER, Party.CALLEE, sdp)
