"""``MediaPool``: waits for the Rust pool's events and hands each to the task that it concerns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from mediaha.model.media import Anchored, Moved, ServerChanged, ServerView, Stranded
from mediaha.model.site import MediaServerSpec, Timings

Notice = Moved | Stranded | ServerChanged


class MediaPool:
    """The trio face of ``mediaha._core.Pool``; made by ``open_pool``."""

    async def offer(
        self, call_id: str, from_tag: str, to_tag: str | None, sdp: bytes, servers: Sequence[str]
    ) -> Anchored:
        """Ask for media: of the first usable of ``servers``, or, for a call that has media, of its server.

        Raises MediaRefused. A task that is cancelled here has still asked: follow up with ``delete``.
        """
        raise NotImplementedError

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes) -> Anchored:
        """Give the answer to the call's last offer. Raises MediaRefused."""
        raise NotImplementedError

    async def delete(self, call_id: str) -> None:
        """End the call's media. A dead server is no error: it is told when it is back."""
        raise NotImplementedError

    def notices(self) -> trio.MemoryReceiveChannel[Notice]:
        """Calls that were moved or stranded, and servers whose condition changed."""
        raise NotImplementedError

    def servers(self) -> tuple[ServerView, ...]:
        """The servers in configured order, as the pool sees them."""
        raise NotImplementedError

    def configure(self, servers: Sequence[MediaServerSpec]) -> None:
        """Replace the servers; those whose name stays keep their state and their calls."""
        raise NotImplementedError

    def drain(self, server: str, draining: bool = True) -> None:
        """Let a server take no new calls, or let it again."""
        raise NotImplementedError

    def died(self, server: str, why: str) -> None:
        """Say that a server's process is gone: its calls move at once."""
        raise NotImplementedError


@asynccontextmanager
async def open_pool(servers: Sequence[MediaServerSpec], timings: Timings) -> AsyncIterator[MediaPool]:
    """Watch ``servers`` while the block lasts. Raises MediahaError when that cannot begin."""
    raise NotImplementedError
    yield MediaPool()
