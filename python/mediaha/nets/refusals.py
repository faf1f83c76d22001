"""A target that does not take the call: which one is tried next, and what the caller gets when there is none."""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets import questions, redirect
from mediaha.nets.call import Branch, Refused, Ringing, Trying
from mediaha.nets.compose import once_more
from mediaha.nets.ending import end
from mediaha.nets.events import Send, Tried, WaysFound
from mediaha.nets.headers import OF_REFUSALS, Pairs, passed_on
from mediaha.nets.identity import callee_for
from mediaha.nets.inviting import try_next
from mediaha.nets.relay import fail
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Open, Party, Purpose
from mediaha.sip.message import Request, Response

NO_WAY = 503
"""For a caller whose callee cannot be reached from here: a call manager then tries its other route (TR4). Without a
Retry-After it says nothing about our own state (RFC 3261 section 21.5.4), so other calls still come."""

SAY_LITTLE = frozenset({408, 480, 481, 482, 503})
"""Of several phones that did not answer, one that said something else is worth more to the caller."""


def declined(turn: Turn, branch: Branch, request: Request, response: Response) -> None:
    """A final response that is no answer."""
    status = response.status
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    target = turn.call.targets[branch.target]
    silent = isinstance(phase, Trying)  # a 408 after ringing is the callee who did not answer
    if status == 422 and turn.raised(Party.CALLEE, request, response):
        _send_again(turn, branch, request)
    elif status in target.failures or (status == 408 and silent):
        why = f"answered {status}"
        refused = no_word(turn, branch, why, NO_WAY if status == 503 else status)
        next_target(turn, branch, why, refused, retry_after=response.headers.get("Retry-After"))
    elif not redirect.is_followed(turn, branch, response):
        turned_down(turn, branch, response)


def turned_down(turn: Turn, branch: Branch, response: Response) -> None:
    """The callee's word, for the caller."""
    status, target = response.status, turn.call.targets[branch.target]
    answer = f"{status} {response.reason}"
    turn.note("turned down", target=str(target), answer=answer, took_ms=took_ms(turn, branch))
    headers = passed(turn, branch, response, OF_REFUSALS - {"contact"} if status >= 400 else OF_REFUSALS)
    refused = Refused(_passed_status(status), f"the callee answered {answer}", headers)
    if target.is_phone and status < 600:
        one_less(turn, branch, refused)
    else:  # nobody else is to be asked (section 16.7 step 5)
        end(turn, refused.status, refused.why, headers=headers)


def ways_found(turn: Turn, event: WaysFound) -> None:
    """Where a 3xx sends the call: there, or with the 3xx to the caller when that is no place of ours."""
    phase = turn.call.phase
    if not isinstance(phase, Trying | Ringing):
        return
    for branch in phase.branches:
        if branch.ref == event.ref and redirect.follow(turn, event.targets):
            one_less(turn, branch, Refused(480, "where the call was sent on to nobody answers"))
        elif branch.ref == event.ref:
            turned_down(turn, branch, event.response)


def next_target(turn: Turn, branch: Branch, why: str, refused: Refused, *, retry_after: str | None = None) -> None:
    """This target is of no use. Unless others have the INVITE still, the next one gets it, or the caller a refusal."""
    target = turn.call.targets[branch.target]
    turn.note("passed over", target=str(target), why=why, took_ms=took_ms(turn, branch))
    turn.effects.append(Tried(target, why, retry_after))
    one_less(turn, branch, refused)


def one_less(turn: Turn, branch: Branch, refused: Refused) -> None:
    """The branch has come to nothing."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    left = tuple(one for one in phase.branches if one.ref != branch.ref)
    best = _better(phase.refused, refused)
    if isinstance(phase, Ringing):
        if any(fork.agreed and fork.ref == branch.ref for fork in phase.forks):
            leave_early(turn)
            phase = replace(phase, renewed=False)
        phase = replace(phase, forks=tuple(fork for fork in phase.forks if fork.ref != branch.ref))
    turn.become(replace(phase, branches=left, refused=best))
    if left:
        return
    questions.withdraw(turn, About.EARLY)
    leave_early(turn)
    if phase.past < len(turn.call.targets):
        try_next(turn, phase.past)
    else:
        end(turn, best.status, best.why, headers=best.headers)


def no_word(turn: Turn, branch: Branch, why: str, status: int) -> Refused:
    """Nobody said a word. A user whose phones are away is away (480); that is no trouble of ours."""
    if turn.call.targets[branch.target].is_phone:
        return Refused(480, f"no phone answered; the last: {why}")
    return Refused(status, f"no target answered; the last: {why}")


def passed(turn: Turn, branch: Branch, response: Response, *more: frozenset[str]) -> Pairs:
    """What the caller may know of a target's response."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    target = turn.call.targets[branch.target]
    return callee_for(passed_on(response, *more), target, trusted=phase.invite.trusted)


def took_ms(turn: Turn, branch: Branch) -> float:
    """How long ago the target got our INVITE."""
    return round((turn.now - branch.sent_at) * 1000, 3)


def leave_early(turn: Turn) -> None:
    """What was being changed with a callee that is left now is over; the caller's offer holds again."""
    if turn.call.relay is not None:
        fail(turn, 500, "the callee is left", (("Retry-After", "1"),))
    turn.disregard(Party.CALLEE)
    if isinstance(turn.call.phase, Ringing) and turn.call.phase.renewed:
        questions.ask(turn, About.RESTORE, Party.CALLER, turn.leg(Party.CALLER).sdp)


def _better(one: Refused | None, other: Refused) -> Refused:
    """What tells the caller more (16.7 step 6): what somebody has said, and of that the lowest class."""
    if one is None:
        return other
    return min(one, other, key=lambda refused: (refused.status in SAY_LITTLE, refused.status // 100))


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


def _passed_status(status: int) -> int:
    """A refusal as the caller gets it."""
    if status in {401, 407}:
        return 403  # the challenge is for NeTS, which has no credentials for it; the caller could not answer it
    if status == 422:
        return 500  # the session interval is between NeTS and the callee
    if status == 487:
        return 480  # nobody here has cancelled: whoever did is behind the callee
    return status
