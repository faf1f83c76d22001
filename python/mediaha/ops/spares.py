"""One spare media-server process, with everything loaded that takes time, and the keeper of what the others leave.

The keeper, a Rust thread, holds the table of calls and the sockets of every server. When a process ends, whichever
way, the keeper gives what it left to the spare by itself; here that is only heard of, and the next spare is started.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio

from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec
from mediaha.ops.process import MediaProcess
from mediaha.ops.restart import Restarts

READY_S_MAX = 20.0

log = structlog.get_logger("supervisor")


class News(Protocol):
    """What the keeper says, see ``mediaha._core.Succession``."""

    @property
    def what(self) -> str: ...
    @property
    def server(self) -> str | None: ...
    @property
    def line(self) -> int | None: ...
    @property
    def why(self) -> str | None: ...


class Keeper(Protocol):
    """Keeps what media servers leave, see ``mediaha._core.Keeper``."""

    def fileno(self) -> int: ...
    def line(self, server: str | None = None, words: str = "") -> tuple[int, int]: ...
    def hand_over(self, server: str) -> None: ...
    def forget(self, server: str) -> None: ...
    def news(self) -> Sequence[News]: ...


class SpareFailed(MediahaError):
    """No spare process can be had."""


@dataclass(frozen=True, slots=True)
class Heritage:
    """How a server's process is followed by a spare."""

    keeper: Keeper
    command: list[str]
    """Runs a spare; ``--line`` and its descriptor are added."""
    words: Callable[[MediaServerSpec], str]
    """All that a spare must be told to be this server."""
    begins: Callable[[str, str, float], None]
    """Called with a server's name, why its process is gone, and how many seconds another one may take from here."""
    takeover_s_max: float


class Spares:
    """Keeps one spare process ready."""

    def __init__(
        self,
        nursery: trio.Nursery,
        heritage: Heritage,
        given: Callable[[str, MediaProcess], None],
        lost: Callable[[str, str], None],
    ) -> None:
        """``given``: this server's place has been taken by this process. ``lost``: it has left nothing."""
        self._nursery = nursery
        self._heritage = heritage
        self._given = given
        self._lost = lost
        self._spare: MediaProcess | None = None
        self._renewed: MediaProcess | None = None
        """The one that was ended for an upgrade."""
        self._ready = trio.Event()
        self._gone = trio.Event()
        """Set when the spare is one no more."""

    @property
    def ready(self) -> bool:
        """Whether the spare could take another process's place at once."""
        return self._ready.is_set()

    async def listen(self) -> None:
        """Hear what the keeper has to say, until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._heritage.keeper.fileno())
            for news in self._heritage.keeper.news():
                self._hear(news)

    async def keep(self) -> None:
        """Have a spare ready, until cancelled."""
        restarts = Restarts()
        while True:
            began = trio.current_time()
            spare = self._spare = MediaProcess("spare", self._heritage.command, self._heritage.keeper.line())
            self._gone = trio.Event()
            await self._nursery.start(spare.run)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_exit, spare, self._gone)
                await self._gone.wait()
                nursery.cancel_scope.cancel()
            if spare.exited.is_set():
                if spare is self._renewed:
                    continue
                restarts, delay = restarts.exited(trio.current_time() - began)
                log.warning("spare media server exited", why=spare.why, again_in_s=round(delay, 1))
                await trio.sleep(delay)

    async def renew(self) -> None:
        """Replace the spare by one that is started now, from what is installed now. Raises SpareFailed."""
        if self._spare is not None:
            self._renewed = self._spare
            self._spare.end()
            await self._gone.wait()
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Wait until there is a spare that could take a place at once. Raises SpareFailed."""
        with trio.move_on_after(READY_S_MAX) as in_time:
            await self._ready.wait()
        if in_time.cancelled_caught:
            raise SpareFailed(f"no spare media server was ready within {READY_S_MAX:.0f} s; see the log")

    async def _tell_exit(self, spare: MediaProcess, gone: trio.Event) -> None:
        await spare.exited.wait()
        if self._spare is spare:
            self._spare, self._ready = None, trio.Event()
        gone.set()

    def _hear(self, news: News) -> None:
        if news.what == "ready" and self._spare is not None and news.line == self._spare.line:
            self._ready.set()
        elif news.what == "given" and news.server is not None:
            if self._spare is not None and news.line == self._spare.line:
                spare, self._spare, self._ready = self._spare, None, trio.Event()
                self._given(news.server, spare)
                self._gone.set()
        elif news.what == "lost" and news.server is not None:
            self._lost(news.server, news.why or "")
