"""One media-server process, from its start to its exit.

It is tied to us by its standard input: nobody writes to it, and when it ends (because we close it, or because we are
gone, however that came about) the media server ends too. Its standard output carries one JSON line,
``{"ready": …}`` or ``{"failed": "why"}``; its standard error carries its log, which is written on into ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator

import msgspec
import structlog
import trio

STOP_S_MAX = 2.0
LINE_BYTES_MAX = 64 * 1024

log = structlog.get_logger("supervisor")


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
