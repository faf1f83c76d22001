"""What is under way in a call: whose change is being carried, which requests of ours and questions are unanswered."""

from __future__ import annotations

from enum import StrEnum

from mediaha.model.media import Family
from mediaha.model.value import Value
from mediaha.nets.referral import Referral
from mediaha.sip.target import Target

NOBODY = 0
"""In the place of a server transaction: it is not a party who waits, but the call on whose behalf this one is made."""


class Party(StrEnum):
    """The two sides of a call. The caller is who sent the first INVITE."""

    CALLER = "caller"
    CALLEE = "callee"

    @property
    def other(self) -> Party:
        return Party.CALLEE if self is Party.CALLER else Party.CALLER


class Step(StrEnum):
    """How far a relay is: what it waits for."""

    PLACING = "placing"
    """The pool's word on the offer."""
    FORWARDING = "forwarding"
    """The other party's response to our re-INVITE."""
    ANSWERING = "answering"
    """The pool's word on the answer."""
    AWAITING = "awaiting"
    """The ACK with the answer of the party that asked without an offer."""
    HELD = "held"
    """The PRACK of the response that brought the caller its answer: the 200 comes after it."""


class Relay(Value, frozen=True, kw_only=True):
    """An INVITE, UPDATE or PRACK of one party with an offer, carried to the other party, and its answer back."""

    by: Party
    tx: int
    method: str
    step: Step
    delayed: bool = False
    """The party asked without an offer: then the other party offers, and this one answers in its ACK."""
    first: bool = False
    """It is the INVITE that made the call: when it fails the call ends."""
    offer: bytes = b""
    answer: bytes = b""
    """What the parties sent, once they have."""
    before: bytes = b""
    """What the other party had been told until now: it is told that again when the relay fails half-way."""
    ref: int = 0
    """Our INVITE or UPDATE to the other party, while it is outstanding."""
    ack_cseq: int = 0
    """The CSeq of that INVITE while its 2xx waits for our ACK with the answer."""

    @property
    def replied(self) -> bool:
        """Whether the party has had its final response: when it asked without an offer, before its answer came."""
        return self.delayed and self.step in {Step.AWAITING, Step.ANSWERING}

    @property
    def offerer(self) -> Party:
        """Whose SDP the pool gets as the offer."""
        return self.by.other if self.delayed else self.by


class Change(Value, frozen=True):
    """An INVITE, UPDATE or PRACK of a party that would change the session, and has no final response."""

    party: Party
    tx: int
    method: str
    offer: bytes
    until: float
    """When it is refused, if it is still waiting for another INVITE then."""


class Purpose(StrEnum):
    """Why a client transaction of ours was begun, and so what its response means."""

    SETUP = "setup"
    MEDIA = "media"
    """A re-INVITE: a relay's, when the relay waits for it, or else one that tells of moved media."""
    HEEDLESS = "heedless"
    """Its response changes nothing: a PRACK, or what was asked in an early dialog that came to nothing."""
    REFRESH = "refresh"
    """A request that only asks whether the party is still there (RFC 4028)."""
    BYE = "bye"
    NOTIFY = "notify"
    """What has become of a transfer."""
    PASSING = "passing"
    """A request that is passed through; its response goes back in server transaction ``back``."""
    GIVEN_UP = "given up"
    """An INVITE that must not make a call any more: a 2xx is acknowledged and ended."""


class Open(Value, frozen=True, kw_only=True):
    """A client transaction of ours without a final response."""

    ref: int
    party: Party
    purpose: Purpose
    until: float | None = None
    """When we stop waiting; None: the transaction itself times out."""
    cancelled: bool = False
    back: int = 0
    met: Target | None = None
    """Where an INVITE that begins a dialog went."""


class Provisional(Value, frozen=True):
    """A provisional response to the caller, with the media server's SDP in it or without."""

    status: int
    headers: tuple[tuple[str, str], ...]
    sdp: bytes


class Reliable(Value, frozen=True, kw_only=True):
    """Those that the caller must acknowledge: see ``reliable.py``."""

    tx: int
    cseq: int
    """Of the caller's INVITE."""
    rseq: int
    """Of the last one that was sent."""
    acknowledged: bool = False
    """Its PRACK has come."""
    agreed: bool = False
    """The answer was in one of those that are acknowledged."""
    sent: Provisional | None = None
    """Sent again until its PRACK; None while nothing is, or when the final response has been sent."""
    interval: float
    resend_at: float
    until: float
    waiting: tuple[Provisional, ...] = ()

    @property
    def answering(self) -> bool:
        """Whether one of them, sent or not, has the answer to the caller's offer."""
        sent = () if self.sent is None else (self.sent,)
        return self.agreed or any(one.sdp for one in (*sent, *self.waiting))


class About(StrEnum):
    """What the pool was asked for, and so what its word means."""

    OFFER = "offer"
    EARLY = "early"
    """An answer in a provisional response."""
    ANSWER = "answer"
    ADDRESS = "address"
    """A party has moved its own end while it was told of ours: the pool gets that as an offer ..."""
    RESTORE = "restore"
    """A change came to nothing after the pool had heard of it: it gets what the party last committed to again ..."""
    CONFIRM = "confirm"
    """... and, as the answer to either, what the other party last said."""
    NOTHING = "nothing"
    """Nobody waits for it any more."""


class Ask(Value, frozen=True):
    """A question to the failover pool. The first of a call's questions is with the pool, the others wait for it."""

    number: int
    about: About
    party: Party
    """Whose SDP it is."""
    sdp: bytes
    put: bool = False
    """It is with the pool."""
    family: Family | None = None
    """What the other party is reached by; None: as its leg says."""


class Transfer(Value, frozen=True, kw_only=True):
    """A party has asked us to connect the other one with somebody else: see ``transfer.py``."""

    by: Party
    """Who has asked."""
    call: str
    """The call that we make for it."""
    referral: Referral
    event: str
    """The Event of what the referrer is told; empty: it does not want to be told (any more)."""
    until: float
    """When we stop telling."""
    status: int = 100
    reason: str = "Trying"
    """What has become of it so far."""
    told: int = 0
    """The status that the referrer has been told last."""
    ref: int = 0
    """The NOTIFY that is with the referrer."""
    left: bool = False
    """The one who is transferred has left for the other call."""
    farewell: tuple[tuple[str, str], ...] | None = None
    """A BYE with these headers is due once the referrer has been told."""

    @property
    def pending(self) -> bool:
        """Whether it is not known yet what comes of it."""
        return self.status < 200

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be told, and the last that was has arrived."""
        return not self.event or (not self.pending and self.told == self.status and not self.ref)
