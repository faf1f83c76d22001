"""One media server, kept running by one process after another. Its state says where it is::

                  ┌────────── a spare has taken its place ──────────┐
                  ▼                                                 │
Starting ──ready──▶ Running ──exit──▶ what it left waits for a spare┤
    │                                                               └ there is none, or nothing was left ─┐
    └──exit, or not ready in time──▶ Waiting ◀────────────────────────────────────────────────────────────┘
    ▲                                   │
    └───────────── delay over ──────────┘
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio

from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec
from mediaha.ops.process import MediaProcess
from mediaha.ops.restart import Restarts

START_S_MAX = 20.0

log = structlog.get_logger("supervisor")


class StartFailed(MediahaError):
    """A media server could not be started; the text is the process's own reason."""


@dataclass(frozen=True, slots=True)
class Starting:
    """The process has been started and has not said that it is ready."""

    pid: int
    since: float


@dataclass(frozen=True, slots=True)
class Running:
    """The process takes calls."""

    pid: int
    since: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The process exited because of ``why`` and is started again at ``until`` (seconds of trio's clock)."""

    why: str
    since: float
    until: float


State = Starting | Running | Waiting

Died = Callable[[str, str], None]
"""Called with a server's name and why, the moment its process has exited."""


class Succession(Protocol):
    """What is told of a process that has exited and may have left something for a spare to go on with."""

    @property
    def takeover_s_max(self) -> float:
        """How long a server may be without a process before its calls are lost to it."""
        ...

    def begins(self, server: str, why: str) -> None:
        """Its calls are not lost unless it takes longer than that."""
        ...

    def forget(self, server: str) -> None:
        """Nobody will go on with it."""
        ...


class KeptProcess:
    """A server whose process is followed by another one whenever it exits."""

    def __init__(
        self,
        spec: MediaServerSpec,
        start: Callable[[MediaServerSpec], Awaitable[MediaProcess]],
        died: Died,
        succession: Succession | None = None,
    ) -> None:
        """``start`` starts a process for the server in a nursery that outlives this."""
        self.spec = spec
        self.scope = trio.CancelScope()
        self.state: State = Waiting("not started yet", trio.current_time(), trio.current_time())
        self._start = start
        self._died = died
        self._succession = succession
        self._process: MediaProcess | None = None
        self._heir: MediaProcess | None = None
        self._lost: str | None = None
        self._decided = trio.Event()
        """Set when a spare has taken over, or it is known that none will."""
        self._task_status: trio.TaskStatus[None] | None = None
        self._changed = trio.Event()
        """Set, and replaced, when a process has become ready."""

    async def keep(self, *, task_status: trio.TaskStatus[None] | None = None) -> None:
        """Keep a process running until ``scope`` is cancelled.

        With a ``task_status`` the first start must succeed: ``started()`` when ready, StartFailed when not.
        """
        restarts = Restarts()
        self._task_status = task_status
        try:
            with self.scope:
                while True:
                    began = trio.current_time()
                    why = await self._generation(await self._start(self.spec))
                    if self._task_status is not None:
                        raise StartFailed(self._failed_or(f"media server {self.spec.name}: {why}"))
                    now = trio.current_time()
                    restarts, delay = restarts.exited(now - began)
                    self.state = Waiting(why, now, now + delay)
                    log.warning("media server exited", server=self.spec.name, why=why, again_in_s=round(delay, 1))
                    await trio.sleep(delay)
        finally:
            if self._process is not None:
                self._process.end()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send(number)

    def succeeded_by(self, heir: MediaProcess) -> None:
        """A spare has taken over what the process left, which has exited, though that may not have been seen yet."""
        if self._decided.is_set() or self.scope.cancel_called:
            heir.end()  # too late: another one has been started, or none is wanted
            return
        heir.name, self._heir = self.spec.name, heir
        self._decided.set()

    async def followed(self, pid: int) -> None:
        """Wait until another process than this one runs."""
        while not isinstance(self.state, Running) or self.state.pid == pid:
            await self._changed.wait()

    def left_nothing(self, why: str) -> None:
        """The process has exited, and there is nothing to be taken over."""
        self._lost = why
        self._decided.set()

    async def _generation(self, process: MediaProcess) -> str:
        """From a start with nothing to an exit that nothing is left of, through all that take over in between."""
        while True:
            self._heir, self._lost, self._decided = None, None, trio.Event()
            why = await self._attend(process)
            heir = await self._successor(why) if process.ready.is_set() else None
            if heir is None:
                self._decided.set()
                self._died(self.spec.name, why)
                return why
            tell = log.info if process.handed_over else log.warning
            tell("another process takes the media server's place", server=self.spec.name, why=why, pid=heir.pid)
            process = heir

    async def _attend(self, process: MediaProcess) -> str:
        """Stay until the process has exited."""
        self._process = process
        self.state = Starting(process.pid, trio.current_time())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._await_ready, process)
            await process.exited.wait()
            nursery.cancel_scope.cancel()
        return process.why

    async def _await_ready(self, process: MediaProcess) -> None:
        with trio.move_on_after(START_S_MAX) as in_time:
            await process.ready.wait()
        if in_time.cancelled_caught:
            process.failed = f"was not ready within {START_S_MAX:.0f} s"
            process.kill()
            return
        self.state = Running(process.pid, trio.current_time())
        self._changed.set()
        self._changed = trio.Event()
        log.info("media server ready", server=self.spec.name, ng=str(self.spec.ng), pid=process.pid)
        if self._task_status is not None:
            self._task_status.started()
            self._task_status = None

    async def _successor(self, why: str) -> MediaProcess | None:
        """Who goes on with what the process has left; None when nobody does soon enough."""
        if self._succession is None:
            return None
        taken_over = self._heir is not None and self._heir.ready.is_set()
        if self._lost is None and not taken_over:
            self._succession.begins(self.spec.name, why)
        with trio.move_on_after(self._succession.takeover_s_max):
            await self._decided.wait()
        if self._heir is None:
            self._succession.forget(self.spec.name)
            log.warning("nobody takes over", server=self.spec.name, why=self._lost or "no spare was ready in time")
        return self._heir

    def _failed_or(self, otherwise: str) -> str:
        return (self._process and self._process.failed) or otherwise
