"""A call's questions to the failover pool: one at a time, and what its word is worth when it comes."""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.model.media import Anchored, Family
from mediaha.nets.call import Nowhere, Placing, Serving
from mediaha.nets.events import AnswerMedia, OfferMedia
from mediaha.nets.family import family_of, reached_by
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Ask, Party

OFFERS = frozenset({About.OFFER, About.ADDRESS, About.RESTORE})
"""What goes to the pool as an offer; the rest are answers."""


def placed(turn: Turn, anchored: Anchored) -> None:
    """The pool has found media; a Moved that has overtaken this word knows better."""
    if isinstance(turn.call.place, Nowhere):
        turn.put(Serving(anchored.server))


def newest(turn: Turn, party: Party, anchored: Anchored) -> bytes:
    """What the party is to be told: the pool's answer, unless a Moved has overtaken it."""
    place, pending = turn.call.place, turn.leg(party).pending
    moved = isinstance(place, Serving) and place.server != anchored.server
    return pending if moved and pending else anchored.sdp


def ask(turn: Turn, about: About, party: Party, sdp: bytes, family: Family | None = None) -> None:
    """Ask the pool about a party's SDP, after what it has been asked for this call before.

    ``family``: what the other party is reached by, where its leg does not say that yet.
    """
    question = Ask(turn.number(), about, party, sdp, family=family)
    # An answer belongs to the offer that the pool has just taken: no other offer may come between the two.
    line = (question, *turn.call.asks) if about is About.CONFIRM else (*turn.call.asks, question)
    turn.call = replace(turn.call, asks=line)


def heard(turn: Turn, number: int) -> Ask | None:
    """The pool has spoken: what it was asked. None: nobody asked, or the call has ended."""
    asks = turn.call.asks
    if not asks or asks[0].number != number:
        return None
    turn.call = replace(turn.call, asks=asks[1:])
    return asks[0]


def withdraw(turn: Turn, *about: About) -> None:
    """Nobody waits any more for the pool's word about these."""
    asks = tuple(replace(ask, about=About.NOTHING) if ask.about in about else ask for ask in turn.call.asks)
    turn.call = replace(turn.call, asks=asks)


def put_next(turn: Turn) -> None:
    """The next question goes to the pool, if it has answered the one before."""
    asks = turn.call.asks
    if not asks or asks[0].put:
        return
    # Questions that nobody waits for any more were only kept in line.
    asks = tuple(ask for ask in asks if ask.about is not About.NOTHING)
    if asks:
        asks = (replace(asks[0], put=True), *asks[1:])
        _put(turn, asks[0])
    turn.call = replace(turn.call, asks=asks)


def _put(turn: Turn, ask: Ask) -> None:
    mine = turn.leg(ask.party).tag
    other = turn.leg(ask.party.other).tag
    family = ask.family or _family(turn, ask)
    if ask.about in OFFERS:
        relay = turn.call.relay
        setting_up = isinstance(turn.call.phase, Placing) or (relay is not None and relay.first)
        first = ask.about is About.OFFER and setting_up
        turn.effects.append(OfferMedia(ask.number, mine, None if first else other, ask.sdp, family))
    else:
        turn.effects.append(AnswerMedia(ask.number, other, mine, ask.sdp, family))


def _family(turn: Turn, ask: Ask) -> Family | None:
    """What the party that is told is reached by. A party that has just offered has said so in its offer."""
    party, relay = ask.party.other, turn.call.relay
    if ask.about is About.ANSWER and relay is not None and relay.offerer is party:
        return family_of(relay.offer) or reached_by(turn.leg(party))
    return reached_by(turn.leg(party))
