"""The INVITE goes to a target, or to several at once, in a dialog of its own."""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets import counteroffer, questions
from mediaha.nets.call import Branch, Leg, Placing, Ringing, Trying, name
from mediaha.nets.compose import first_invite
from mediaha.nets.destination import Destination
from mediaha.nets.events import Send
from mediaha.nets.family import family_at, family_of
from mediaha.nets.rules import Limits
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Open, Party, Purpose


def try_next(turn: Turn, index: int) -> None:
    """Go on to target number ``index``, with media of the address family that it is reached by.

    When the one before it was reached by the other family, the media server is asked for another address first.
    """
    call, phase = turn.call, turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    wanted, had = family_at(call.targets[index].target), family_of(call.callee.pending or call.callee.told)
    if had is None or had is wanted:
        try_target(turn, index)
        return
    turn.become(Placing(phase.tx, phase.invite, index, phase.refused))
    questions.ask(turn, About.OFFER, Party.CALLER, call.caller.sdp, wanted)


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
    # A user is known, whatever his phone says of itself.
    may_refer = first.trusted or first.is_phone
    secure = first.uri_of("", secure=phase.invite.secure).lower().startswith("sips:")
    leg = Leg(
        tag=tag, met=first.target, secure=secure, by_flow=first.is_phone, trunk=first.trunk, may_refer=may_refer
    )  # fmt: skip
    turn.call = replace(turn.call, callee=leg)
    body = turn.told(Party.CALLEE, sdp) if sdp else b""
    branches = tuple(
        _invite(turn, one, name(call.seed, f"call-id {number}"), number if one == index else turn.number(), body)
        for one in range(index, past)
    )
    limits = turn.rules.limits
    more = past < len(call.targets)
    until = turn.now + (patience(limits, first) if more else limits.ring_s_max)
    turn.become(Trying(phase.tx, phase.invite, branches, past, until, refused=phase.refused))


def _past(turn: Turn, index: int) -> int:
    """The number of the first target that is not tried together with this one."""
    targets = turn.call.targets
    past = index + 1
    while past < len(targets) and targets[past].beside:
        past += 1
    return past


def _invite(turn: Turn, index: int, call_id: str, ref: int, body: bytes) -> Branch:
    """Our INVITE to one target."""
    phase, target = turn.call.phase, turn.call.targets[index]
    assert isinstance(phase, Placing | Trying | Ringing)
    bare = counteroffer.is_wanted(target.target, body)
    body = b"" if bare else body
    turn.set_leg(Party.CALLEE, met=target.target)
    # Without an offer, what had to be acknowledged would bring one, before the caller could be asked for the answer.
    session = turn.session_fields(Party.CALLEE, reliably=bool(body))
    tag = turn.leg(Party.CALLEE).tag
    request = first_invite(phase.invite, target, call_id=call_id, tag=tag, session=session, body=body)
    turn.opened(Open(ref=ref, party=Party.CALLEE, purpose=Purpose.SETUP, met=target.target))
    turn.note("invited", target=str(target), sip_call_id=request.call_id)
    turn.effects.append(Send(ref, request, target.target))
    return Branch(ref, index, turn.now, bare)


def patience(limits: Limits, target: Destination) -> float:
    """How long a target may be silent when there is another one."""
    return limits.target_s_max if target.try_s_max is None else target.try_s_max


def branch_of(turn: Turn, item: Open) -> Branch:
    """The branch that this INVITE of ours is."""
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    return next(branch for branch in phase.branches if branch.ref == item.ref)
