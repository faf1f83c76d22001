"""The control socket: a Unix socket that only its owner may open, on which a person's commands arrive.

One JSON object a line: ``{"verb": "status"}`` is answered with ``{"ok": …}`` or ``{"error": "a sentence"}``, and the
next line may follow. Lines, connections and waits are bounded; whatever else arrives is answered with an error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import structlog
import trio

from mediaha.model.errors import MediahaError

LINE_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 32
IDLE_S_MAX = 30.0
WRITE_S_MAX = 5.0
PATH_BYTES_MAX = 107
"""What fits into the kernel's sockaddr_un."""

Request = dict[str, object]
Verb = Callable[[Request], Awaitable[object]]
"""Takes the request's object and gives what JSON can hold. Raises MediahaError with a sentence for the person."""

log = structlog.get_logger("control")


class ControlTaken(MediahaError):
    """The socket cannot be had; the text says why and what to do."""


async def serve_control(
    path: Path, verbs: Mapping[str, Verb], *, task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer on ``path`` until cancelled. Raises ControlTaken when another program answers there."""
    bound = _bound(path)
    made = _identity(path)
    try:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
        connections = _Connections(verbs)
        async with listener:
            await trio.serve_listeners(
                connections.serve,
                [listener],
                task_status=_Named(task_status, path),
            )
    finally:
        _remove(path, made)


class _Named:
    """``started()`` with our path instead of trio's listeners."""

    def __init__(self, task_status: trio.TaskStatus[Path], path: Path) -> None:
        self._task_status = task_status
        self._path = path

    def started(self, _listeners: object = None) -> None:
        self._task_status.started(self._path)


class _Connections:
    """Everyone who is connected, and what they may ask."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self._verbs = verbs
        self._open = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer one connection to its end. Whatever goes wrong with it stays with it."""
        self._open += 1
        try:
            async with stream:
                if self._open > CONNECTIONS_MAX:
                    await _send(stream, {"error": f"{CONNECTIONS_MAX} others are connected; try again"})
                    return
                await self._answer_lines(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # they went away, or do not read
        finally:
            self._open -= 1

    async def _answer_lines(self, stream: trio.SocketStream) -> None:
        buffered = b""
        while True:
            line, newline, rest = buffered.partition(b"\n")
            if newline:
                buffered = rest
                await _send(stream, await self._answer(line))
            elif len(buffered) > LINE_BYTES_MAX:
                await _send(stream, {"error": f"a request has at most {LINE_BYTES_MAX} bytes"})
                return
            else:
                with trio.fail_after(IDLE_S_MAX):
                    chunk = await stream.receive_some(LINE_BYTES_MAX)
                if not chunk:
                    return
                buffered += chunk

    async def _answer(self, line: bytes) -> object:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, RecursionError) as error:
            return {"error": f"not a JSON object: {error}"}
        verb = request.get("verb")
        if not isinstance(verb, str) or verb not in self._verbs:
            return {"error": f"unknown verb {verb!r}; there are {', '.join(sorted(self._verbs))}"}
        try:
            return {"ok": await self._verbs[verb](request)}
        except MediahaError as error:
            return {"error": str(error)}
        except Exception as error:
            # A mistake in a report about calls must never end them.
            log.exception("a control request failed", verb=verb)
            return {"error": f"{verb} failed: {error!r}; the log has more"}


async def _send(stream: trio.SocketStream, answer: object) -> None:
    with trio.fail_after(WRITE_S_MAX):
        await stream.send_all(msgspec.json.encode(answer, enc_hook=_as_text) + b"\n")


def _as_text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _bound(path: Path) -> socket.socket:
    """A listening socket with mode 0600. One that a dead program left behind is replaced."""
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise ControlTaken(f"the path of the control socket is longer than {PATH_BYTES_MAX} bytes: {path}")
    _remove_leftover(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen(CONNECTIONS_MAX)
    except OSError as error:
        bound.close()
        why = (error.strerror or str(error)).lower()
        raise ControlTaken(
            f"cannot make the control socket {path}: {why}; choose another with --control PATH"
        ) from error
    finally:
        os.umask(before)
    return bound


def _identity(path: Path) -> tuple[int, int]:
    made = path.stat()
    return made.st_dev, made.st_ino


def _remove(path: Path, made: tuple[int, int]) -> None:
    """Remove the socket unless another program has put its own there since."""
    with contextlib.suppress(OSError):
        if _identity(path) == made:
            path.unlink()


def _remove_leftover(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlTaken(f"{path} is there and is not a socket; choose another with --control PATH")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                path.unlink()
            return
        except OSError:
            pass  # too busy to take a connection is alive, too
    raise ControlTaken(
        f"another mediaha answers on the control socket {path}; stop it, or give this one its own with --control PATH"
    )
