"""What NeTS needs from the rest of the site, as Protocols: media, routes, phones, a place to write calls down.

``mediaha.failover.MediaPool`` is a Media, ``mediaha.model.site.Site`` is a Routes; ``mediaha.node`` wires them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from mediaha.model.media import Anchored, Family, Moved, OnOutcome, ServerChanged, ServerView, Stranded
from mediaha.model.site import Domain
from mediaha.model.trunk import Trunk
from mediaha.model.user import User
from mediaha.sip.message import Request
from mediaha.sip.registration import Answer, Contact
from mediaha.sip.target import Target

if TYPE_CHECKING:
    from mediaha.nets.call import Call

Notice = Moved | Stranded | ServerChanged


class Media(Protocol):
    """Media for calls. ``call_id`` is NeTS's name for a call, a tag is NeTS's own name for one of its parties.

    What became of an offer or an answer is told to ``on``, later and once.
    """

    def begin_offer(
        self,
        call_id: str,
        from_tag: str,
        to_tag: str | None,
        sdp: bytes,
        servers: Sequence[str],
        family: Family | None,
        on: OnOutcome,
    ) -> None:
        """Media for what ``from_tag`` offers to somebody who is reached by ``family``.

        Raises MediaRefused: ``on`` is not told any more.
        """
        ...

    def begin_answer(
        self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, family: Family | None, on: OnOutcome
    ) -> None:
        """What ``to_tag`` answered to the last offer of ``from_tag``, who is reached by ``family``.

        Raises MediaRefused, likewise.
        """
        ...

    def begin_delete(self, call_id: str) -> None:
        """The call is over."""
        ...

    async def adopt(
        self,
        call_id: str,
        *,
        from_tag: str,
        to_tag: str | None,
        from_sdp: bytes,
        to_sdp: bytes | None,
        servers: Sequence[str],
        current: str | None,
        to_family: Family | None = None,
    ) -> Anchored:
        """A call that another NeTS placed on ``current``, with what both parties last said. Raises MediaRefused."""
        ...

    def give_notices(self, on_notice: Callable[[Notice], None] | None) -> None:
        """Tell ``on_notice`` of calls that are moved or stranded, and of servers that change; None: nobody.

        In their order, also among the outcomes of what was begun.
        """
        ...

    def servers(self) -> tuple[ServerView, ...]:
        """The media servers as they are now."""
        ...


class Routes(Protocol):
    """Which domain a callee belongs to, and the trunks by which calls leave."""

    @property
    def trunks(self) -> Sequence[Trunk]:
        """All trunks; another object when any has changed."""
        ...

    @property
    def domains(self) -> Sequence[Domain]:
        """All domains; another object when any has changed."""
        ...

    def domain(self, name: str) -> Domain | None:
        """The domain of this host name, with its media servers and targets in order; None: unknown."""
        ...


class Phones(Protocol):
    """The users of the site and their phones. Nothing here waits."""

    def __len__(self) -> int:
        """How many users there are."""
        ...

    def register(self, request: Request, flow: Target) -> Answer:
        """Take a REGISTER that came by ``flow``."""
        ...

    def caller(self, request: Request, flow: Target) -> User | Answer:
        """The user who sent a request, if that is proved; else what to answer."""
        ...

    def find(self, name: str, domain: str | None) -> User | None:
        """The user of this address; without a domain, the only one of this name."""
        ...

    def contacts(self, user: User) -> Sequence[Contact]:
        """Where the user can be called."""
        ...

    def are_at(self, flow: Target) -> bool:
        """Whether a phone has registered by this way."""
        ...


class NoPhones:
    """There are no users."""

    def __len__(self) -> int:
        """None at all."""
        return 0

    def register(self, request: Request, flow: Target) -> Answer:
        """Nobody can."""
        return Answer(403)

    def caller(self, request: Request, flow: Target) -> User | Answer:
        """Nobody is."""
        return Answer(403)

    def find(self, name: str, domain: str | None) -> User | None:
        """Nobody is found."""
        return None

    def contacts(self, user: User) -> Sequence[Contact]:
        """Nowhere."""
        return ()

    def are_at(self, flow: Target) -> bool:
        """Nobody is anywhere."""
        return False


class Checkpoint(Protocol):
    """Where calls are written down, so that another NeTS can continue them.

    Both are called from the path of a message and must not wait: what cannot be written at once is queued, bounded,
    by whoever implements this.
    """

    def write(self, call: Call) -> None:
        """The call as it will be once the messages that follow are on the wire. Called before they are."""
        ...

    def forget(self, call_id: str) -> None:
        """The call is over and its parties know."""
        ...


class NoCheckpoint:
    """Calls are kept in memory only."""

    def write(self, call: Call) -> None:
        """Write nothing."""

    def forget(self, call_id: str) -> None:
        """Forget nothing."""
