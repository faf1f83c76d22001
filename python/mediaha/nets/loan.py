"""A party that is to go on in another call is lent to it: when that comes to nothing, it goes on where it was.

    REFER, Replaces, or INVITE, Replaces ─▶ the party gets a re-INVITE in the other call; here it is ``away``
      ─▶ it agrees, and whoever it is to talk to is there: this call ends (``Taken``)
      ─▶ it refuses (488), or the other call is taken back: it is here again (``Returned``), and is told what holds
         here if it may believe otherwise
      ─▶ it is silent or gone: so it is here, this call ends
      ─▶ this call ends meanwhile: the other one keeps it (``Bereft``)

A leg that is away hears nothing from this call: its dialog has one count of requests, and that is over there.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets.call import Ending, Idle, Over, Paused
from mediaha.nets.ending import say_bye
from mediaha.nets.events import Bereft, Keep, Lent, Returned
from mediaha.nets.headers import reason_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Party


def lent(turn: Turn, event: Lent) -> None:
    """A party is away from now on."""
    turn.note("lent", party=str(event.party), call=event.call)
    turn.set_leg(event.party, away=event.call)


def returned(turn: Turn, event: Returned) -> None:
    """It is here again; what it has said and was told here still holds."""
    party = next((one for one in Party if turn.leg(one).tag == event.leg.tag), None)
    if party is None or isinstance(turn.call.phase, Ending | Over):
        return
    here, there = turn.leg(party), event.leg
    exchange = there.exchange if isinstance(here.exchange, Idle) else here.exchange
    if exchange is there.exchange and not isinstance(exchange, Idle | Paused):
        # It has not said yet what it thinks of the other call's request.
        exchange = Paused(turn.now + turn.rules.limits.travel_s)
    pending = here.pending or (here.told if event.renew else b"")
    turn.note("back", party=str(party))
    turn.set_leg(
        party, away="", dialog=there.dialog, flow=there.flow, version=there.version, exchange=exchange, pending=pending
    )  # fmt: skip


def bereft(turn: Turn, _: Bereft) -> None:
    """There is no way back; when this call has ended already, the party is told so."""
    turn.call = replace(turn.call, lender="")
    if isinstance(turn.call.phase, Ending | Over):
        say_bye(turn, Party.CALLEE, (reason_of(480, "The call has ended"),))


def repaid(turn: Turn) -> None:
    """The two of this call talk: the lender does not get its party back."""
    if turn.call.lender:
        turn.effects.append(Keep(turn.call.lender))
        turn.call = replace(turn.call, lender="")
