"""A party asks us to connect the other one with somebody else (REFER, RFC 3515): the call that is transferred.

    REFER ─▶ 202, NOTIFY 100, a call is made on behalf of the other party (``errand.py``)
      ─▶ it rings: NOTIFY 180
      ─▶ it is answered: the other party goes on in it; NOTIFY 200, then BYE to the referrer
      ─▶ it is refused: NOTIFY with that status, and the two talk on
      ─▶ the referrer hangs up first: the other party goes over at once, and waits there
      ─▶ the other party hangs up: the call that was being made is taken back

NeTS makes the call itself, whatever the parties could do between them: so the media stays on a media server, and
either party may know nothing of transfers.
"""

from __future__ import annotations

from mediaha.nets import subscription
from mediaha.nets.call import Answered, name
from mediaha.nets.ending import end, hand_over
from mediaha.nets.events import PlaceFor, Progressed, Taken
from mediaha.nets.headers import ABILITIES, reason_of
from mediaha.nets.referral import Unwilling, referral_untrusted
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Party, Transfer
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request

BUSY = (("Retry-After", "1"),)
GONE_OVER = (reason_of(200, "Transferred"),)
TAKEN_OVER = (reason_of(200, "Call completed elsewhere"),)


def begin(turn: Turn, party: Party, tx: int, request: Request) -> None:
    """A party's REFER inside its dialog."""
    call, tag = turn.call, turn.leg(party).tag
    answered = isinstance(call.phase, Answered) and call.waiting_tx is None
    if not answered or not turn.leg(party.other).sdp:
        turn.reply(tx, 500, tag=tag, headers=BUSY)
        return
    if not turn.leg(party).may_refer:
        turn.note("transfer refused", by=str(party), why="not trusted")
        turn.reply(tx, 403, tag=tag)
        return
    if turn.leg(party.other).away or (call.transfer is not None and call.transfer.pending):
        turn.reply(tx, 491, tag=tag)
        return
    try:
        referral = referral_untrusted(request)
    except Malformed as fault:
        turn.reply(tx, 400, str(fault), tag=tag)
        return
    except Unwilling as unwilling:
        turn.reply(tx, unwilling.status, unwilling.reason, tag=tag)
        return
    if call.transfers >= turn.rules.limits.transfers_max:
        turn.note("transfer refused", by=str(party), why="too many transfers in a row")
        turn.reply(tx, 482, "Too Many Transfers", tag=tag)
        return
    said = (("Refer-Sub", "false"),) if referral.silent else ()
    turn.reply(tx, 202, tag=tag, headers=(turn.contact(party), *ABILITIES, *said))
    transfer = Transfer(
        by=party,
        call=name(call.seed, f"transfer {turn.number()}"),
        referral=referral,
        event="" if referral.silent else f"refer;id={request.cseq.number}",
        until=turn.now + turn.rules.limits.ring_s_max,
    )
    turn.transfer(transfer)
    turn.note(
        "transfer asked", by=str(party), to=referral.uri, call=transfer.call, attended=referral.replaces is not None
    )
    turn.effects.append(PlaceFor(transfer))
    subscription.notify(turn)


def progressed(turn: Turn, event: Progressed) -> None:
    """Something has become of the call that is made for the transfer."""
    transfer = turn.call.transfer
    if transfer is None or transfer.call != event.call or not transfer.pending:
        return
    subscription.progress(turn, event.status, event.reason)
    if event.status >= 300:
        turn.note("transfer failed", call=event.call, status=event.status, reason=event.reason)
    elif event.status >= 200 and not transfer.left:
        other = transfer.by.other
        hand_over(turn, other)
        turn.note("transferred", party=str(other), call=event.call)
        end(turn, 200, f"the {other} was transferred", gone=(other,), reason=GONE_OVER)


def taken(turn: Turn, event: Taken) -> None:
    """Somebody else has taken the place of a party's peer: the party is gone from here, its peer is told."""
    turn.note("taken over", party=str(event.party), call=event.call)
    end(turn, 200, "taken over", gone=(event.party,), reason=TAKEN_OVER)
