"""What NeTS needs from the rest of the site, as Protocols: media, routes, a place to write calls down.

``mediaha.failover.MediaPool`` is a Media, ``mediaha.model.site.Site`` is a Routes; ``node.py`` wires them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mediaha.model.media import Anchored, Moved, ServerChanged, ServerView, Stranded
from mediaha.model.site import Domain
from mediaha.model.trunk import Trunk

if TYPE_CHECKING:
    import trio

    from mediaha.nets.call import Call

Notice = Moved | Stranded | ServerChanged


class Media(Protocol):
    """Media for calls. ``call_id`` is NeTS's name for a call, a tag is NeTS's own name for one of its parties."""

    async def offer(
        self, call_id: str, from_tag: str, to_tag: str | None, sdp: bytes, servers: Sequence[str]
    ) -> Anchored:
        """Media for what ``from_tag`` offers. Raises MediaRefused."""
        ...

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes) -> Anchored:
        """What ``to_tag`` answered to the last offer of ``from_tag``. Raises MediaRefused."""
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
    ) -> Anchored:
        """A call that another NeTS placed on ``current``, with what both parties last said. Raises MediaRefused."""
        ...

    async def delete(self, call_id: str) -> None:
        """The call is over."""
        ...

    def notices(self) -> trio.MemoryReceiveChannel[Notice]:
        """Calls that were moved or stranded, servers that changed; NeTS reads it to the end."""
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
