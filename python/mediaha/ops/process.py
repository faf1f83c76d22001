"""One media server as a process of its own, followed by another one when it exits. Its state says where it is::

                      ┌────────── a spare has taken its place ──────────┐
                      ▼                                                 │
    Starting ──ready──▶ Running ──exit──▶ what it left waits for a spare┤
        │                                                               └ there is none, or nothing was left ─┐
        └──exit, or not ready in time──▶ Waiting ◀────────────────────────────────────────────────────────────┘
        ▲                                   │
        └───────────── delay over ──────────┘

A process is tied to us by its standard input: nobody writes to it, and when it ends (because we close it, or
because we are gone, however that came about) the media server ends too. Its standard output carries one JSON line,
``{"ready": …}`` or ``{"failed": "why"}``; its standard error carries its log, which is written on into ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog
import trio

from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec
from mediaha.ops.restart import Restarts

START_S_MAX = 20.0
STOP_S_MAX = 2.0
LINE_BYTES_MAX = 64 * 1024

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


class MediaProcess:
    """A media-server process, from its start to its exit. A spare has no server's name until it is given one."""

    def __init__(self, name: str, command: list[str], line: tuple[int, int] | None = None) -> None:
        """``line`` is the number of its line to the keeper, and the descriptor, which is closed here."""
        self.name = name
        self.line = None if line is None else line[0]
        self._fd = None if line is None else line[1]
        self.pid = 0
        self.ready = trio.Event()
        """It takes calls, and so it has a server's name."""
        self.exited = trio.Event()
        self.why = ""
        """Why it exited."""
        self.failed: str | None = None
        """What it said before that, when it could not start."""
        self.handed_over = False
        """It exited in order: when it was not told to end, this was for another one to go on."""
        self._command = command
        self._process: trio.Process | None = None
        self._scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the process and stay until it has exited; ``started()`` when it has a pid, or has failed."""
        try:
            with self._scope:
                await self._run(task_status)
        finally:
            self.exited.set()

    def end(self) -> None:
        """Let it end by itself, and kill it if it does not soon."""
        self._scope.cancel()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            process = await trio.lowlevel.open_process(
                [*self._command, *([] if self._fd is None else ["--line", str(self._fd)])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=() if self._fd is None else (self._fd,),
                start_new_session=True,  # Ctrl-C is for us: we drain the calls first, then end the media servers
            )
        except OSError as error:
            self.why = f"cannot run {self._command[0]}: {error.strerror or error}"
            task_status.started()
            return
        finally:
            if self._fd is not None:
                os.close(self._fd)  # with ours open, nobody would see that the process has closed its own
        self._process, self.pid = process, process.pid
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forward_log, process)
            nursery.start_soon(self._listen, process)
            try:
                await process.wait()
            finally:
                await _end(process)
                self._process = None
            self.handed_over = process.returncode == 0
            self.why = self.failed or _exit_reason(process.returncode)
            self.exited.set()
            # Its last words may still be in the pipe; a grandchild that keeps the pipe open must not hold us up.
            nursery.cancel_scope.deadline = trio.current_time() + STOP_S_MAX

    async def _listen(self, process: trio.Process) -> None:
        """What the process says on standard output: that it is ready, or why it cannot be."""
        assert process.stdout is not None
        async for line in _lines(process.stdout):
            try:
                word = msgspec.json.decode(line, type=_Word)
            except msgspec.DecodeError:
                log.warning("media server wrote", server=self.name, text=line.decode("utf-8", "replace"))
                continue
            if word.failed is not None:
                self.failed = word.failed
            else:
                self.ready.set()

    async def _forward_log(self, process: trio.Process) -> None:
        assert process.stderr is not None
        async for line in _lines(process.stderr):
            _write_on(self.name, line)


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


class _Word(msgspec.Struct):
    """The line on standard output."""

    ready: object = None
    failed: str | None = None


async def _end(process: trio.Process) -> None:
    """Let the process end by itself, for STOP_S_MAX at most; it does so when its standard input closes."""
    with trio.CancelScope(shield=True):
        assert process.stdin is not None
        await process.stdin.aclose()
        with trio.move_on_after(STOP_S_MAX):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def _exit_reason(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        with contextlib.suppress(ValueError):
            return f"process exited with signal {-returncode} ({signal.Signals(-returncode).name})"
        return f"process exited with signal {-returncode}"
    return f"process exited with status {returncode}"


def _write_on(server: str, line: bytes) -> None:
    """Log a line of the process's log as our own, under its level, with the server's name."""
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError:
        log.warning("media server wrote", server=server, text=line.decode("utf-8", "replace"))
        return
    level = fields.pop("level", "info")
    event = str(fields.pop("event", ""))
    fields.pop("time", None)
    method = {"debug": log.debug, "warning": log.warning, "error": log.error}.get(str(level), log.info)
    method(event, **{**fields, "server": server})


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """The lines of a pipe until it ends; a line that is too long comes in pieces."""
    buffered = b""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for chunk in stream:
            *complete, buffered = (buffered + chunk).split(b"\n")
            for line in complete:
                if line:
                    yield line
            if len(buffered) > LINE_BYTES_MAX:
                yield buffered
                buffered = b""
    if buffered:
        yield buffered
