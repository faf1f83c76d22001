"""One media server as a process of its own, started again when it exits. Its state says where it is::

    Starting ──ready──▶ Running ──exit──▶ Waiting ──delay over──▶ Starting
        └──exit, or not ready in time──────▲

A process is tied to us by its standard input: nobody writes to it, and when it ends (because we close it, or
because we are gone, however that came about) the media server ends too. Its standard output carries one JSON line,
``{"ready": …}`` or ``{"failed": "why"}``; its standard error carries its log, which is written on into ours.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

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


class KeptProcess:
    """One process that is kept running."""

    def __init__(self, spec: MediaServerSpec, command: list[str], died: Died) -> None:
        self.spec = spec
        self.scope = trio.CancelScope()
        self.state: State = Waiting("not started yet", trio.current_time(), trio.current_time())
        self._command = command
        self._died = died
        self._process: trio.Process | None = None
        self._failed: str | None = None
        """What the process said before it exited, when it could not start."""
        self._task_status: trio.TaskStatus[None] | None = None

    async def keep(self, *, task_status: trio.TaskStatus[None] | None = None) -> None:
        """Run the process again and again until ``scope`` is cancelled.

        With a ``task_status`` the first start must succeed: ``started()`` when ready, StartFailed when not.
        """
        restarts = Restarts()
        self._task_status = task_status
        with self.scope:
            while True:
                began = trio.current_time()
                why = await self._run_once()
                if self._task_status is not None:
                    raise StartFailed(self._failed or f"media server {self.spec.name}: {why}")
                now = trio.current_time()
                restarts, delay = restarts.exited(now - began)
                self.state = Waiting(why, now, now + delay)
                log.warning("media server exited", server=self.spec.name, why=why, again_in_s=round(delay, 1))
                await trio.sleep(delay)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    async def _run_once(self) -> str:
        """Start the process and stay until it has exited; gives the reason of its exit."""
        self._failed = None
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: we drain the calls first, then end the media servers
            )
        except OSError as error:
            return f"cannot run {self._command[0]}: {error.strerror or error}"
        self._process = process
        self.state = Starting(process.pid, trio.current_time())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forward_log, process)
            ready_in_time = trio.CancelScope(deadline=trio.current_time() + START_S_MAX)
            nursery.start_soon(self._await_ready, process, ready_in_time)
            try:
                await process.wait()
            finally:
                ready_in_time.cancel()
                await _end(process)
                self._process = None
            why = self._failed or _exit_reason(process.returncode)
            self._died(self.spec.name, why)
            # Its last words may still be in the pipe; a grandchild that keeps the pipe open must not hold us up.
            nursery.cancel_scope.deadline = trio.current_time() + STOP_S_MAX
        return why

    async def _await_ready(self, process: trio.Process, in_time: trio.CancelScope) -> None:
        assert process.stdout is not None
        with in_time:
            async for line in _lines(process.stdout):
                self._take_word(process, line)
                in_time.deadline = float("inf")
        if in_time.cancelled_caught and process.returncode is None:
            self._failed = f"was not ready within {START_S_MAX:.0f} s"
            process.kill()

    def _take_word(self, process: trio.Process, line: bytes) -> None:
        """What the process says on standard output: that it is ready, or why it cannot be."""
        try:
            word = msgspec.json.decode(line, type=_Word)
        except msgspec.DecodeError:
            log.warning("media server wrote", server=self.spec.name, text=line.decode("utf-8", "replace"))
            return
        if word.failed is not None:
            self._failed = word.failed
            return
        self.state = Running(process.pid, trio.current_time())
        log.info("media server ready", server=self.spec.name, ng=str(self.spec.ng), pid=process.pid)
        if self._task_status is not None:
            self._task_status.started()
            self._task_status = None

    async def _forward_log(self, process: trio.Process) -> None:
        assert process.stderr is not None
        async for line in _lines(process.stderr):
            _write_on(self.spec.name, line)


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
