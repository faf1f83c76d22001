"""The other end of the control socket: a short blocking conversation, for the command line and for scripts."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mediaha.model.errors import MediahaError
from mediaha.ops.sockets import path_to_ask

ANSWER_BYTES_MAX = 64 * 1024 * 1024
ANSWER_S_MAX = 10.0


class NotServing(MediahaError):
    """There is nobody to ask; the text says where was looked."""


class Declined(MediahaError):
    """The running mediaha answered with an error; the text is its sentence."""


def ask(
    verb: str,
    path: Path | None = None,
    *,
    arguments: Mapping[str, object] | None = None,
    within_s: float = ANSWER_S_MAX,
    **further: object,
) -> object:
    """Ask the mediaha that serves on ``path`` (or on the usual places) and give its answer, which comes ``within_s``.

    Raises NotServing, Declined.
    """
    where = path or path_to_ask()
    if where is None:
        raise NotServing(
            "no mediaha serves here; start one with `mediaha serve`, or name its socket with --control PATH"
        )
    request = msgspec.json.encode({"verb": verb, **(arguments or {}), **further}) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within_s)
            connection.connect(str(where))
            # One that has no place for us has answered and hung up before we ask: its answer can still be read.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(request)
            line = _line(connection)
    except OSError as error:
        raise NotServing(f"no mediaha answers on {where}: {_why(error, where, within_s)}") from error
    try:
        answer = msgspec.json.decode(line, type=_Answer)
    except msgspec.DecodeError as error:
        raise NotServing(f"what answers on {where} is not mediaha: {error}") from error
    if answer.error is not None:
        raise Declined(answer.error)
    return answer.ok


class _Answer(msgspec.Struct):
    ok: object = None
    error: str | None = None


def _line(connection: socket.socket) -> bytes:
    buffered = bytearray()
    while not buffered.endswith(b"\n") and len(buffered) < ANSWER_BYTES_MAX:
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        buffered += chunk
    return bytes(buffered)


def _why(error: OSError, where: Path, within_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {within_s:.0f} s"
    if isinstance(error, ConnectionRefusedError):
        return "the socket is left over from one that is gone" if where.is_socket() else "that is no socket"
    return (error.strerror or str(error)).lower()
