"""A call as one frozen value: both dialogs, what each party last said about its media, who carries it, what is due.

    Placing ──▶ Trying ──▶ Ringing ──▶ Answered ──▶ Ending ──▶ Over
       └───────────┴──────────┴─────────────────────────▲

``Placing``: the caller's offer is with the failover pool. ``Trying``: the INVITE is with a target. ``Ringing``: a
target has said so. ``Answered``: the callee has answered; a ``Relay`` carries that answer to the caller, and later
each party's own re-INVITE to the other. ``Ending``: BYE and CANCEL are on their way. Beside the phase, each leg has
an ``Exchange`` (whose INVITE is outstanding on it) and the call's media a ``Place``.

All of it is values, so a call can be written down and read back: see ``written.py``.
"""

from __future__ import annotations

import hashlib
from math import inf
from typing import Literal, TypeAlias

from msgspec.structs import replace

from mediaha.model.value import Value
from mediaha.nets.destination import Destination
from mediaha.nets.expiry import NOTHING_ASKED, Asked, Expiry
from mediaha.nets.underway import Ask, Change, Open, Party, Relay, Reliable, Transfer
from mediaha.sip.dialog import Dialog
from mediaha.sip.target import Target


class Idle(Value, frozen=True, tag="idle"):
    """No INVITE is outstanding on the leg."""


class Offering(Value, frozen=True, tag="offering"):
    """Our re-INVITE is with the party, as client transaction ``ref``."""

    ref: int


class AwaitingAck(Value, frozen=True, tag="awaiting ack"):
    """Our 2xx in server transaction ``tx`` is with the party, its ACK is awaited until ``until`` (13.3.1.4)."""

    tx: int
    until: float


class Paused(Value, frozen=True, tag="paused"):
    """The party has refused our re-INVITE for now (491); we come again at ``until`` (section 14.1)."""

    until: float


Exchange: TypeAlias = Idle | Offering | AwaitingAck | Paused
IDLE = Idle()


class Leg(Value, frozen=True, kw_only=True):
    """One side of a call: our dialog with a party."""

    tag: str
    """Our tag in the dialog; the failover pool knows the party by it."""
    dialog: Dialog | None = None
    """None until the dialog is confirmed, or, with the caller, until the INVITE was taken."""
    met: Target | None = None
    """The way by which the party was first heard from, or sent to."""
    flow: Target | None = None
    """The connection on which it was heard last, when that is not the one above."""
    trunk: str = ""
    """The trunk that it is reached by, or has come by; empty: none."""
    sdp: bytes = b""
    """What the party last committed to: an offer that was answered, or an answer. Empty: nothing yet."""
    told: bytes = b""
    """The SDP we last sent to the party, our o= line included."""
    version: int = 0
    """The version in that o= line; raised whenever the rest changes (RFC 3264 section 8)."""
    pending: bytes = b""
    """The media server's newest SDP for the party that it has not been told yet. Empty: it knows all."""
    exchange: Exchange = IDLE
    glares: int = 0
    """How often in a row it has put our re-INVITE off."""
    asked: Asked = NOTHING_ASKED
    """What its last INVITE or UPDATE said about the session's timer: our 2xx goes by it."""
    expiry: Expiry | None = None
    """The session's timer on this leg; None until there is a session."""
    interval_min: int = 0
    """The least session interval that it has told us to ask for (422)."""
    takes_update: bool = False
    """Its Allow has UPDATE."""
    may_refer: bool = True
    """It may have the other party transferred, which makes a call from here: whoever is not trusted may not."""
    away: str = ""
    """The call to which the party is lent, see ``loan.py``; empty: it is here."""
    secure: bool = False
    """It has called a ``sips`` URI, or was called by one: we are one for it, too (RFC 3261 section 12.1)."""
    by_flow: bool = False
    """It has registered: what goes to it goes where it was met, for its own idea of its address may be a NAT's."""


class Invite(Value, frozen=True, kw_only=True):
    """What the caller's INVITE said that goes into ours."""

    user: str
    """The user part of the Request-URI; empty when it has none."""
    calling: str
    """From without its tag."""
    called: str
    """To without its tag."""
    max_forwards: int
    headers: tuple[tuple[str, str], ...]
    """Those that are passed on, see ``headers.py``."""
    cseq: int
    trusted: bool = True
    """The caller may know who answers, whatever the callee wants (RFC 3325)."""
    secure: bool = False
    """The Request-URI was a ``sips`` one: the call goes by TLS alone."""
    reliability: Literal["", "supported", "required"] = ""
    """Whether the caller acknowledges provisional responses (100rel), or insists on it."""


class Fork(Value, frozen=True, kw_only=True):
    """An early dialog of our INVITE to a target."""

    ref: int
    """That INVITE."""
    dialog: Dialog
    rseq: int = 0
    """Of its last provisional response that had to be acknowledged; 0: there was none."""
    sdp: bytes = b""
    """What it has answered so far."""
    agreed: bool = False
    """That answer is acknowledged: offer and answer are complete, UPDATE may change them (RFC 3311 section 5.1)."""


class Refused(Value, frozen=True):
    """The best of the final responses that were no answer, as it would go to the caller (16.7 step 6)."""

    status: int
    why: str
    headers: tuple[tuple[str, str], ...] = ()


class Placing(Value, frozen=True, tag="placing"):
    """The caller waits in server transaction ``tx`` while the failover pool looks for media."""

    tx: int
    invite: Invite
    next: int = 0
    """The number of the target that comes then."""
    refused: Refused | None = None
    """By the targets before it, which were reached by another address family."""


class Branch(Value, frozen=True):
    """Our INVITE with one target, without a final response."""

    ref: int
    target: int
    """Its number in the call's list."""
    sent_at: float
    bare: bool = False
    """It bears no offer, for that is of another address family: see ``counteroffer.py``."""


class Trying(Value, frozen=True, tag="trying"):
    """One target, or several at once, has our INVITE and has said nothing that the caller should know."""

    tx: int
    invite: Invite
    branches: tuple[Branch, ...]
    past: int
    """The number of the target that comes after these."""
    until: float
    """When they have been silent for too long."""
    heard: bool = False
    """One has responded in some way, so they are not passed over for the next one."""
    refused: Refused | None = None


class Ringing(Value, frozen=True, tag="ringing"):
    """A target rings, until ``until`` at the latest."""

    tx: int
    invite: Invite
    branches: tuple[Branch, ...]
    past: int
    until: float
    status: int
    headers: tuple[tuple[str, str], ...]
    """Of the last provisional response, as it goes to the caller."""
    early: bytes = b""
    """The SDP that came last."""
    forks: tuple[Fork, ...] = ()
    """The early dialogs, the one that was heard from last at the end."""
    renewed: bool = False
    """The parties have changed the session by UPDATE; the 2xx is no answer to the INVITE's offer any more."""
    refused: Refused | None = None


class Answered(Value, frozen=True, tag="answered"):
    """The callee has answered."""

    at: float


class Ending(Value, frozen=True, tag="ending"):
    """Both parties are being told; at ``until`` the call is over whatever they say."""

    until: float


class Over(Value, frozen=True, tag="over"):
    """Nothing is outstanding; the call can be forgotten."""


Phase: TypeAlias = Placing | Trying | Ringing | Answered | Ending | Over


class Nowhere(Value, frozen=True, tag="nowhere"):
    """No media server has the call (yet)."""


class Serving(Value, frozen=True, tag="serving"):
    """``server`` carries the media."""

    server: str


class Stranded(Value, frozen=True, tag="stranded"):
    """The server died and no other is alive; the call is given up at ``until``."""

    server: str
    until: float


Place: TypeAlias = Nowhere | Serving | Stranded


class Call(Value, frozen=True, kw_only=True):
    """One call from its INVITE to the last response to BYE."""

    id: str
    """NeTS's own name for it, and the call-id at the media servers."""
    seed: str
    """Tags, Call-IDs and pauses of the call are drawn from it."""
    placed_at: float
    """Unix time, for people; every other time is of the monotonic clock."""
    domain: str
    servers: tuple[str, ...]
    targets: tuple[Destination, ...]
    """Where its INVITE may go, in the order in which they are tried (N4)."""
    caller: Leg
    callee: Leg
    phase: Phase
    place: Place = Nowhere()
    offerer: Party = Party.CALLER
    """Who made the first offer: the failover pool's idea of the caller."""
    relay: Relay | None = None
    waiting: tuple[Change, ...] = ()
    """What the parties want to change once the INVITEs that are under way are over, one of each at most."""
    reliable: Reliable | None = None
    open: tuple[Open, ...] = ()
    asks: tuple[Ask, ...] = ()
    transfer: Transfer | None = None
    on_behalf_of: str = ""
    """The call whose party this one is made for, because another one has asked for it (REFER): see ``errand.py``."""
    lender: str = ""
    """The call that has lent its party to this one, as the callee; empty: none, or it is not wanted back."""
    session: str = ""
    """The caller's Session-ID, or what we gave it for one: a call that comes back to us bears the same."""
    redirects: int = 0
    """How often it has been sent on (3xx), and we have followed."""
    transfers: int = 0
    """How many transfers have led to this call."""
    early_cseq: int = 0
    """The highest CSeq number that anybody was asked with before the callee answered: see ``Turn.stray``."""
    counter: int = 0
    """The last number given to a transaction or question."""

    def leg(self, party: Party) -> Leg:
        return self.caller if party is Party.CALLER else self.callee

    def with_leg(self, party: Party, leg: Leg) -> Call:
        if party is Party.CALLER:
            return replace(self, caller=leg)
        return replace(self, callee=leg)

    @property
    def joined(self) -> bool:
        """Whether the caller is there: with a call that is made for somebody it comes later."""
        return not self.on_behalf_of or self.caller.dialog is not None

    def in_short(self) -> Call:
        """What is remembered of a call that is over: not what its parties said, but where they were."""
        caller, callee = (Leg(tag=leg.tag, met=leg.met, by_flow=leg.by_flow) for leg in (self.caller, self.callee))
        return replace(self, caller=caller, callee=callee)

    def has_phone_at(self, target: Target) -> bool:
        """Whether that is where a phone has registered from."""
        legs = any(leg.by_flow and leg.met == target for leg in (self.caller, self.callee))
        return legs or any(one.is_phone and one.target == target for one in self.targets)

    def is_waiting(self, party: Party) -> bool:
        """Whether the party wants to change something, and has to wait."""
        return any(change.party is party for change in self.waiting)

    @property
    def waiting_tx(self) -> int | None:
        """The caller's INVITE transaction while it has no final response, None afterwards.

        ``NOBODY`` when the call is made on behalf of another one: that one is told then.
        """
        if isinstance(self.phase, Placing | Trying | Ringing):
            return self.phase.tx
        if self.relay is not None and self.relay.first and not self.relay.replied:
            return self.relay.tx
        return None


def draw(seed: str, what: str) -> bytes:
    """32 bytes that nobody can guess without the seed: the same for the same seed and use."""
    return hashlib.blake2b(what.encode(), digest_size=32, key=seed.encode()).digest()


def name(seed: str, what: str) -> str:
    """A random-looking token for a tag or a Call-ID: 80 bits (RFC 3261 section 19.3 asks for 32)."""
    return draw(seed, what)[:10].hex()


def wake_at(call: Call) -> float | None:
    """When the call has to be looked at again even if nothing happens; None: never."""
    phase, stranded = call.phase, _until(call.place)
    due = min(_until(phase), _until(call.caller.exchange), _until(call.callee.exchange))
    if stranded < due and not isinstance(phase, Ending | Over):
        due = stranded
    if isinstance(phase, Answered):
        due = min(due, _expires_at(call.caller.expiry), _expires_at(call.callee.expiry))
    if call.reliable is not None and call.reliable.sent is not None:
        due = min(due, call.reliable.resend_at, call.reliable.until)
    for change in call.waiting:
        due = min(due, change.until)
    for item in call.open:
        if item.until is not None and item.until < due:
            due = item.until
    return None if due == inf else due


def _until(state: Phase | Place | Exchange) -> float:
    """When the state is over by itself. After each event this is asked; to ask which state it is would take longer."""
    until: float = getattr(state, "until", inf)
    return until


def _expires_at(expiry: Expiry | None) -> float:
    if expiry is None:
        return inf
    refresh_at, until = expiry.refresh_at, expiry.until
    return min(inf if refresh_at is None else refresh_at, inf if until is None else until)
