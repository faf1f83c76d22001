"""The decision about a call: (call, event, time, rules) → (call after it, what to do). Total, without clock or chance.

Read ``call.py`` for the states; then ``setup``, ``relay`` with ``crossing``, ``reanchor``, ``refresh``, ``passing``,
``transfer`` with ``errand``, and ``ending`` for what each event means in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mediaha.model.media import Moved
from mediaha.model.media import Stranded as StrandedNotice
from mediaha.model.site import Domain
from mediaha.nets import (
    challenge,
    crossing,
    ending,
    errand,
    incall,
    loan,
    passing,
    pickup,
    questions,
    reanchor,
    refresh,
    refusals,
    relay,
    reliable,
    setup,
    subscription,
    transfer,
)
from mediaha.nets.call import (
    IDLE,
    Answered,
    AwaitingAck,
    Call,
    Ending,
    Leg,
    Paused,
    Placing,
    Ringing,
    Stranded,
    Trying,
    draw,
    name,
)
from mediaha.nets.compose import invite_of, sdp_of
from mediaha.nets.destination import Destination
from mediaha.nets.events import (
    Acked,
    Bereft,
    Cancelled,
    Challenged,
    Event,
    Joined,
    Lent,
    MediaFailed,
    MediaReady,
    PickedUp,
    Progressed,
    Received,
    Responded,
    Returned,
    SendCancel,
    Stop,
    Taken,
    Tick,
    Unanswered,
    WaysFound,
)
from mediaha.nets.headers import session_of
from mediaha.nets.rules import Rules
from mediaha.nets.turn import Decision, Turn
from mediaha.nets.underway import About, Open, Party, Purpose, Step
from mediaha.sip.dialog import Dialog
from mediaha.sip.message import Request
from mediaha.sip.target import Target


def begin(
    request: Request, tx: int, flow: Target, *, id: str, seed: str, placed_at: float, domain: Domain,
    targets: tuple[Destination, ...], now: float, rules: Rules, trunk: str = "", by_flow: bool = False,
    trusted: bool = True,
) -> Decision:  # fmt: skip
    """Take a caller's INVITE, which has passed ``admission``. Raises Malformed: answer 400.

    ``trunk``: the one that it has come by. ``trusted``: what the caller says of itself is believed. ``by_flow``: it
    is from a phone, whose own idea of its address may be a NAT's.
    """
    tag = name(seed, "caller")
    session = session_of(request) or draw(seed, "session").hex()[:32]
    caller = Leg(
        tag=tag, dialog=Dialog.from_request(request, tag), met=flow, secure=request.request_uri.scheme == "sips",
        trunk=trunk, by_flow=by_flow, may_refer=trusted,
    )  # fmt: skip
    call = Call(
        id=id,
        seed=seed,
        placed_at=placed_at,
        domain=domain.name,
        servers=domain.media,
        targets=targets,
        caller=caller,
        callee=Leg(tag=name(seed, "callee")),
        phase=Placing(tx, invite_of(request, rules.host, session, trusted=trusted)),
        session=session,
    )
    turn = Turn(call, now, rules)
    turn.learn(Party.CALLER, request)
    setup.place(turn, sdp_of(request))
    questions.put_next(turn)
    return turn.call, turn.effects


def decide(call: Call, event: Event, now: float, rules: Rules) -> Decision:
    """What ``event`` makes of the call at ``now``."""
    turn = Turn(call, now, rules)
    _DECIDERS[type(event)](turn, event)
    crossing.go_on(turn)
    reanchor.settle(turn)
    questions.put_next(turn)
    ending.finish(turn)
    return turn.call, turn.effects


def _acked(turn: Turn, event: Acked) -> None:
    if isinstance(turn.call.phase, Ending):
        ending.acknowledged(turn, event.party)
    else:
        relay.acked(turn, event.party, event.tx, event.sdp)


def _cancelled(turn: Turn, event: Cancelled) -> None:
    running = turn.call.relay
    if turn.call.waiting_tx == event.tx:
        turn.note("cancelled")
        reason = None if event.reason is None else (("Reason", event.reason),)
        ending.end(turn, 487, "the caller cancelled", reason=reason)
    elif running is not None and running.tx == event.tx and not running.replied:
        relay.cancelled(turn)
    else:
        crossing.cancelled(turn, event.tx)


def _responded(turn: Turn, event: Responded) -> None:
    item, request, response = turn.find(event.ref), event.request, event.response
    if item is None or item.purpose is Purpose.GIVEN_UP:
        ending.stray_response(turn, item, event.ref, request, response)
    elif item.purpose is Purpose.SETUP:
        setup.responded(turn, item, request, response)
    elif item.purpose is Purpose.PASSING:
        passing.responded(turn, item, response)
    elif response.status < 200:
        return
    elif item.purpose is Purpose.NOTIFY:
        subscription.responded(turn, item, response)
    elif item.purpose is Purpose.BYE:
        turn.close(item.ref)
        ending.has_left(turn, item.party)
    elif item.purpose is Purpose.HEEDLESS:
        turn.close(item.ref)
    elif item.purpose is Purpose.REFRESH:
        refresh.responded(turn, item, request, response)
    elif _is_relayed(turn, item):
        relay.responded(turn, item, request, response)
    else:
        reanchor.responded(turn, item, request, response)


def _challenged(turn: Turn, event: Challenged) -> None:
    item = turn.find(event.sent.ref)
    if item is None or item.cancelled:
        _responded(turn, Responded(event.sent.ref, event.sent.request, event.response))
    else:
        challenge.answer(turn, item, event)


def _unanswered(turn: Turn, event: Unanswered) -> None:
    item = turn.find(event.ref)
    if item is not None:
        _given_nothing(turn, item, unreachable=event.unreachable)


def _given_nothing(turn: Turn, item: Open, *, unreachable: bool) -> None:
    if item.purpose is Purpose.SETUP:
        setup.unanswered(turn, item, unreachable=unreachable)
    elif item.purpose is Purpose.PASSING:
        passing.unanswered(turn, item)
    elif item.purpose is Purpose.MEDIA:
        reanchor.unanswered(turn, item, unreachable=unreachable)
    elif item.purpose is Purpose.REFRESH:
        refresh.unanswered(turn, item, unreachable=unreachable)
    elif item.purpose is Purpose.NOTIFY:
        subscription.unanswered(turn, item)
    else:
        turn.close(item.ref)


def _media_ready(turn: Turn, event: MediaReady) -> None:
    ask = questions.heard(turn, event.ask)
    if ask is None or not isinstance(turn.call.phase, Placing | Trying | Ringing | Answered):
        return
    if isinstance(turn.call.phase, Placing) and ask.about is About.OFFER:
        setup.media_ready(turn, event.anchored)
    elif ask.about is About.EARLY:
        setup.early_ready(turn, ask.sdp, event.anchored)
    elif ask.about in {About.ADDRESS, About.RESTORE, About.CONFIRM}:
        reanchor.address_ready(turn, ask, event.anchored)
    elif ask.about is not About.NOTHING:
        relay.media_ready(turn, ask.about, event.anchored)


def _media_failed(turn: Turn, event: MediaFailed) -> None:
    ask = questions.heard(turn, event.ask)
    if ask is None or not isinstance(turn.call.phase, Placing | Trying | Ringing | Answered):
        return
    if isinstance(turn.call.phase, Placing) and ask.about is About.OFFER:
        setup.media_failed(turn, event.refused)
    elif ask.about is About.EARLY:
        setup.early_failed(turn, event.refused)
    elif ask.about in {About.OFFER, About.ANSWER} and turn.call.relay is not None:
        relay.media_failed(turn, event.refused)
    else:
        turn.note("not told", about=str(ask.about), reason=event.refused.reason)


def _tick(turn: Turn, event: Tick) -> None:
    now = turn.now
    phase, at = turn.call.phase, turn.call.place
    if isinstance(phase, Trying | Ringing) and phase.until <= now:
        setup.overdue(turn)
    reliable.look(turn)
    if isinstance(at, Stranded) and at.until <= now:
        ending.end(turn, 503, "no media server came back in time", text="No media server")
    for party in Party:
        exchange = turn.leg(party).exchange
        if isinstance(exchange, Paused) and exchange.until <= now:
            reanchor.pause_over(turn, party)
        elif isinstance(exchange, AwaitingAck) and exchange.until <= now:
            _never_acked(turn, party)
        refresh.look(turn, party)
    crossing.look(turn)
    for item in turn.call.open:
        if item.until is not None and item.until <= now:
            _overdue(turn, item)
    if isinstance(turn.call.phase, Ending) and turn.call.phase.until <= now:
        ending.abandon(turn)


def _never_acked(turn: Turn, party: Party) -> None:
    """RFC 3261 section 13.3.1.4: the dialog is confirmed all the same, and the session should be ended."""
    if isinstance(turn.call.phase, Ending):
        ending.acknowledged(turn, party)
    else:
        turn.set_leg(party, exchange=IDLE)
        ending.end(turn, 408, f"the {party} never acknowledged", text="No ACK")


def _overdue(turn: Turn, item: Open) -> None:
    """An INVITE of ours has no final response in its time: it is cancelled, and then given up. A NOTIFY is at once."""
    if turn.find(item.ref) is None:
        return
    if item.cancelled or item.purpose is Purpose.NOTIFY:
        _given_nothing(turn, item, unreachable=False)
        return
    turn.change(item.ref, cancelled=True, until=turn.now + turn.rules.limits.request_s_max)
    turn.effects.append(SendCancel(item.ref))
    if _is_relayed(turn, item):
        relay.fail(turn, 408, f"the {item.party} does not answer")


def _is_relayed(turn: Turn, item: Open) -> bool:
    running = turn.call.relay
    return running is not None and running.ref == item.ref and running.step is Step.FORWARDING


def _stop(turn: Turn, event: Stop) -> None:
    ending.end(turn, 503, event.why, text=event.why)


_DECIDERS: dict[type, Callable[[Turn, Any], None]] = {
    Received: incall.received,
    Acked: _acked,
    Cancelled: _cancelled,
    Responded: _responded,
    Challenged: _challenged,
    Unanswered: _unanswered,
    MediaReady: _media_ready,
    MediaFailed: _media_failed,
    Moved: reanchor.moved,
    StrandedNotice: reanchor.stranded,
    Tick: _tick,
    WaysFound: refusals.ways_found,
    Progressed: transfer.progressed,
    Joined: errand.joined,
    Taken: transfer.taken,
    PickedUp: pickup.picked_up,
    Lent: loan.lent,
    Returned: loan.returned,
    Bereft: loan.bereft,
    Stop: _stop,
}
