"""What the doer keeps beside the calls: which message belongs to which call, and which call is due when."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import count

from mediaha.nets.call import Call, Over, wake_at
from mediaha.nets.headers import Pairs
from mediaha.nets.story import Story
from mediaha.nets.underway import Party
from mediaha.sip.message import Request
from mediaha.sip.transaction.events import ClientKey, ServerKey

HEAP_MIN = 1024

Merged = tuple[str, str, int]
"""Call-ID, From tag and CSeq number of a caller's INVITE: one that has come by two ways shares them (8.2.2.2)."""


class Held:
    """A call in our hands: its value, its story, and its transactions by the numbers that the value knows."""

    __slots__ = ("asking", "call", "clients", "drop", "due", "merged", "servers", "shown", "story", "tags")

    def __init__(self, call: Call, story: Story) -> None:
        self.call = call
        self.story = story
        self.clients: dict[int, ClientKey] = {}
        self.shown: dict[int, Pairs] = {}
        """The credentials in our INVITEs, for their ACKs."""
        self.servers: dict[int, tuple[ServerKey, Request]] = {}
        self.tags: set[str] = set()
        self.merged: Merged | None = None
        self.due: float | None = None
        self.asking = False
        """A question of the call is with the pool."""
        self.drop = False
        """Its media is to be deleted once the pool has answered that question."""

    def let_go(self, ref: int) -> None:
        """Nothing more is to be done with this client transaction."""
        self.clients.pop(ref, None)
        self.shown.pop(ref, None)

    @property
    def over(self) -> bool:
        return isinstance(self.call.phase, Over)


class Tables:
    """Every call in our hands, by each name that a message may bring."""

    def __init__(self) -> None:
        self.calls: dict[str, Held] = {}
        self._by_tag: dict[str, tuple[Held, Party]] = {}
        self._invites: dict[ServerKey, tuple[Held, Party, int]] = {}
        self._merged: dict[Merged, Held] = {}
        self._by_session: dict[str, list[Held]] = {}

    def add(self, held: Held) -> None:
        self.calls[held.call.id] = held
        if held.call.session:
            self._by_session.setdefault(held.call.session, []).append(held)
        self.renew(held)

    def renew(self, held: Held) -> None:
        """The call may have another tag on its callee's leg than before: another target is being tried."""
        call = held.call
        for party, leg in ((Party.CALLER, call.caller), (Party.CALLEE, call.callee)):
            # One on whose behalf the call is made gets its messages in another call until it is here.
            away = party is Party.CALLER and leg.dialog is None
            if leg.tag not in held.tags and not away:
                held.tags.add(leg.tag)
                self._by_tag[leg.tag] = (held, party)

    def let_go(self, held: Held, tag: str) -> None:
        """The leg with this tag of ours is another call's from now on."""
        held.tags.discard(tag)

    def hand_over(self, tag: str, held: Held, other: Held, party: Party) -> None:
        """The leg with this tag of ours goes from one call to the other, where it is this party's."""
        self.let_go(held, tag)
        other.tags.add(tag)
        self._by_tag[tag] = (other, party)

    def remember_invite(self, held: Held, request: Request) -> None:
        held.merged = merged_key(request)
        self._merged[held.merged] = held

    def is_merged(self, request: Request) -> bool:
        """Whether this INVITE has come before, by another way."""
        return merged_key(request) in self._merged

    def by_session(self, session: str) -> Sequence[Held]:
        """The calls of one session: more than one when it has come back to us."""
        return self._by_session.get(session, ())

    def by_tag(self, tag: str) -> tuple[Held, Party] | None:
        """The call and party to which a request with this tag of ours in To belongs."""
        return self._by_tag.get(tag)

    def expect(self, held: Held, party: Party, tx: int, key: ServerKey, request: Request) -> None:
        """A request of the party waits for our response."""
        held.servers[tx] = (key, request)
        if request.method == "INVITE":
            self._invites[key] = (held, party, tx)

    def by_invite(self, key: ServerKey) -> tuple[Held, Party, int] | None:
        """Whose INVITE an ACK or CANCEL is about."""
        return self._invites.get(key)

    def answered(self, held: Held, tx: int, *, keep: bool) -> None:
        """The request has its final response; an INVITE with a 2xx is kept (``keep``) for its ACK."""
        key, _ = held.servers[tx]
        if not keep:
            del held.servers[tx]
            self._invites.pop(key, None)

    def acknowledged(self, held: Held, tx: int) -> None:
        key, _ = held.servers.pop(tx)
        self._invites.pop(key, None)

    def remove(self, held: Held) -> None:
        """The call is over: nothing that comes for it now is known."""
        self.calls.pop(held.call.id, None)
        for tag in held.tags:
            self._by_tag.pop(tag, None)
        of_session = self._by_session.get(held.call.session)
        if of_session is not None:
            of_session.remove(held)
            if not of_session:
                del self._by_session[held.call.session]
        for key, _ in held.servers.values():
            self._invites.pop(key, None)
        if held.merged is not None:
            self._merged.pop(held.merged, None)

    def sizes(self) -> dict[str, int]:
        """How much is kept; all zero when there is no call."""
        return {
            "calls": len(self.calls),
            "tags": len(self._by_tag),
            "invites": len(self._invites),
            "merged": len(self._merged),
            "sessions": len(self._by_session),
        }


def merged_key(request: Request) -> Merged:
    return (request.call_id, request.from_tag, request.cseq.number)


class Alarms:
    """When which call is due, the next one first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Held]] = []
        self._order = count()

    def renew(self, held: Held) -> None:
        """The call has changed: so may when it is due."""
        due = wake_at(held.call)
        if due != held.due:
            held.due = due
            if due is not None:
                heappush(self._heap, (due, next(self._order), held))
                self._compact()

    def next(self) -> float | None:
        """When the next call is due."""
        while self._heap and self._stale(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Held | None:
        """A call that is due at ``now``, if there is one."""
        due = self.next()
        if due is None or due > now:
            return None
        held = heappop(self._heap)[2]
        held.due = None
        return held

    def _stale(self, entry: tuple[float, int, Held]) -> bool:
        return entry[2].due != entry[0]

    def _compact(self) -> None:
        """Drop what is stale, each time the heap has doubled: calls that change often leave much behind."""
        size = len(self._heap)
        if size >= HEAP_MIN and size & (size - 1) == 0:
            self._heap = [entry for entry in self._heap if not self._stale(entry)]
            heapify(self._heap)
