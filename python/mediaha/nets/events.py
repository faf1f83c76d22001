"""What can happen to a call, and what a decision about it asks to be done.

``tx`` numbers a server transaction (a request that waits for our response), ``ref`` a client transaction of ours,
``ask`` a question to the failover pool; the doer keeps what the numbers stand for.
"""

from __future__ import annotations

from typing import TypeAlias

from mediaha.model.media import Anchored, Attempt, Family, MediaRefused, Moved
from mediaha.model.media import Stranded as StrandedNotice
from mediaha.model.value import Value
from mediaha.nets.call import Leg
from mediaha.nets.destination import Destination
from mediaha.nets.underway import Party, Transfer
from mediaha.sip.message import Request, Response
from mediaha.sip.target import Target


class Received(Value, frozen=True):
    """A party's request inside its dialog, that has passed the checks every such request must pass."""

    party: Party
    tx: int
    request: Request
    flow: Target | None = None
    """The way by which it came."""


class Acked(Value, frozen=True):
    """A party's ACK of our 2xx in server transaction ``tx``. ``sdp``: the answer, when it was us who offered."""

    party: Party
    tx: int
    sdp: bytes


class Cancelled(Value, frozen=True):
    """A party takes its INVITE of server transaction ``tx`` back."""

    tx: int
    reason: str | None = None
    """The Reason header of the CANCEL (RFC 3326)."""


class Responded(Value, frozen=True):
    """A response to ``request``, which we sent."""

    ref: int
    request: Request
    response: Response


class Challenged(Value, frozen=True):
    """A response (401, 407) asks who we are, and we can say: ``proved`` is what was sent, with credentials."""

    sent: Send
    response: Response
    proved: Request


class Unanswered(Value, frozen=True):
    """A request of ours got no response in the transaction's time, or could not be sent (``unreachable``)."""

    ref: int
    unreachable: bool = False


class MediaReady(Value, frozen=True):
    """The pool took the SDP of question ``ask``."""

    ask: int
    anchored: Anchored


class MediaFailed(Value, frozen=True):
    """The pool did not take the SDP of question ``ask``."""

    ask: int
    refused: MediaRefused


class Tick(Value, frozen=True):
    """It may be time for something."""


class WaysFound(Value, frozen=True):
    """Where the ``response`` (3xx) to our INVITE ``ref`` sends the call: nowhere, when that is no place of ours."""

    ref: int
    response: Response
    targets: tuple[Destination, ...]


class Progressed(Value, frozen=True):
    """What has become of ``call``, which is made because a party of this one has asked for a transfer."""

    call: str
    status: int
    reason: str


class Joined(Value, frozen=True):
    """The one on whose behalf the call is made is its caller now, with this leg."""

    leg: Leg


class Taken(Value, frozen=True):
    """A party goes on in another call, whatever the other one here thinks of it (RFC 3891)."""

    party: Party
    call: str


class PickedUp(Value, frozen=True):
    """Somebody takes the place of the phones that ring, by the INVITE of server transaction ``tx``."""

    tx: int
    request: Request
    flow: Target
    trunk: str
    by_flow: bool
    trusted: bool


class Lent(Value, frozen=True):
    """A party is asked to go on in another call: until it has agreed, it may come back."""

    party: Party
    call: str


class Returned(Value, frozen=True):
    """A party that was lent is back, with this leg. ``renew``: it must be told again what holds here."""

    leg: Leg
    renew: bool


class Bereft(Value, frozen=True):
    """The call that has lent its party to this one is over: it cannot come back."""


class Stop(Value, frozen=True):
    """The call is to end now, whoever wants that: an operator, the end of a drain."""

    why: str


Event: TypeAlias = (
    Received
    | Acked
    | Cancelled
    | Responded
    | Challenged
    | Unanswered
    | MediaReady
    | MediaFailed
    | Moved
    | StrandedNotice
    | Tick
    | WaysFound
    | Progressed
    | Joined
    | Taken
    | PickedUp
    | Lent
    | Returned
    | Bereft
    | Stop
)


class Send(Value, frozen=True):
    """Begin client transaction ``ref``. ``target`` is the next hop; ``otherwise``: the ways after it."""

    ref: int
    request: Request
    target: Target
    otherwise: tuple[Target, ...] = ()


class SendAck(Value, frozen=True):
    """Acknowledge a 2xx (RFC 3261 section 13.2.2.4), by the first of these ways that is open."""

    ref: int
    request: Request
    target: Target
    otherwise: tuple[Target, ...] = ()


class SendCancel(Value, frozen=True):
    """Take back the INVITE of client transaction ``ref``."""

    ref: int
    headers: tuple[tuple[str, str], ...] = ()


class EndStray(Value, frozen=True):
    """A 2xx that nobody wants any more: acknowledge it, then BYE (RFC 3261 section 13.2.2.4)."""

    ref: int
    request: Request
    response: Response
    met: Target
    """Where the INVITE went."""
    cseq: int
    """The BYE's CSeq number: above whatever was sent in the early dialog."""
    by_flow: bool = False
    """The dialog is to be ended there, wherever its Contact says that it is."""


class Reply(Value, frozen=True):
    """Respond in server transaction ``tx``. The doer copies from the request what a response must copy."""

    tx: int
    status: int
    reason: str | None = None
    to_tag: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class OfferMedia(Value, frozen=True):
    """Ask the pool for media for what ``from_tag`` offers."""

    ask: int
    from_tag: str
    to_tag: str | None
    sdp: bytes
    family: Family | None = None
    """What the other party is reached by."""


class AnswerMedia(Value, frozen=True):
    """Tell the pool what ``to_tag`` answered to ``from_tag``'s offer."""

    ask: int
    from_tag: str
    to_tag: str
    sdp: bytes
    family: Family | None = None
    """What ``from_tag`` is reached by."""


class DropMedia(Value, frozen=True):
    """The call needs no media any more."""


class Tried(Value, frozen=True):
    """What a destination did with our INVITE: ``failure`` is None when it has answered in any way."""

    destination: Destination
    failure: str | None = None
    retry_after: str | None = None


class FindWays(Value, frozen=True):
    """Find out how ``contacts``, each a user and a host, can be called. WaysFound comes at once."""

    ref: int
    response: Response
    contacts: tuple[tuple[str, str], ...]
    sender: Destination
    """Who sends the call on; others may be at the same place."""


class PlaceFor(Value, frozen=True):
    """Make a call on behalf of the party that the transfer is about."""

    transfer: Transfer


class TakeBack(Value, frozen=True):
    """The call that is made on behalf of a party of this one is not wanted any more."""

    call: str


class HandOver(Value, frozen=True):
    """``party`` goes on in ``call``, with this leg: what it sends belongs there from now on."""

    party: Party
    call: str
    leg: Leg


class Keep(Value, frozen=True):
    """The party that was lent by this call stays, or is gone: the lender does not get it back."""

    lender: str


class GiveBack(Value, frozen=True):
    """The party that was lent by this call goes on there. ``renew``: it may believe what it was told here."""

    lender: str
    leg: Leg
    renew: bool


class Orphan(Value, frozen=True):
    """The call that has lent a party to ``call`` ends."""

    call: str


class Report(Value, frozen=True):
    """Tell the call on whose behalf this one is made what has become of it."""

    to: str
    status: int
    reason: str


class Note(Value, frozen=True):
    """A decision, for the call's story and the log."""

    what: str
    facts: dict[str, object]
    story: tuple[Attempt, ...] = ()


Effect: TypeAlias = (
    Send
    | SendAck
    | SendCancel
    | EndStray
    | Reply
    | OfferMedia
    | AnswerMedia
    | DropMedia
    | Tried
    | FindWays
    | PlaceFor
    | TakeBack
    | HandOver
    | Keep
    | GiveBack
    | Orphan
    | Report
    | Note
)
