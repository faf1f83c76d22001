"""How a host stops: first politely, with a deadline, and at once when it is asked again."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
import trio

log = structlog.get_logger("node")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Waits to be asked to stop.

    The first request runs ``drain`` (stop taking calls, let those that are there end, with a deadline of its own) and
    then ends ``scope``; the second ends it at once.
    """

    def __init__(self, scope: trio.CancelScope, drain: Callable[[], Awaitable[None]]) -> None:
        self._scope = scope
        self._drain = drain
        self._asked = trio.Event()
        self.draining = False

    def ask(self, why: str) -> None:
        """Stop, because of ``why``."""
        if self.draining:
            log.warning("stopping at once", why=why)
            self._scope.cancel()
            return
        log.info("stopping: no new calls, those that are there may end", why=why)
        self.draining = True
        self._asked.set()

    @property
    def ends(self) -> bool:
        """Whether everything is being ended now."""
        return self._scope.cancel_called

    async def run(self) -> None:
        """Wait for the first request and do what it asks."""
        await self._asked.wait()
        await self._drain()
        log.info("stopped")
        self._scope.cancel()


async def heed_signals(
    shutdown: Shutdown,
    reload: Callable[[], Awaitable[None]] | None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM and Ctrl-C stop, SIGHUP reads the site file again."""
    with trio.open_signal_receiver(*STOP_SIGNALS, signal.SIGHUP) as signals:
        task_status.started()
        await _heed(signals, shutdown, reload)


async def _heed(signals: AsyncIterator[int], shutdown: Shutdown, reload: Callable[[], Awaitable[None]] | None) -> None:
    async for number in signals:
        if number in STOP_SIGNALS:
            shutdown.ask(signal.Signals(number).name)
        elif shutdown.ends:
            log.info("too late for the site file", signal="SIGHUP")
        elif reload is not None:
            await reload()
        else:
            log.info("there is no site file to read again", signal="SIGHUP")
