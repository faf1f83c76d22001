"""A non-blocking socket, plain or under TLS: the same few calls for both. Does."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from typing import Any

import trio

from mediaha.model.address import Address

CHUNK_BYTES = 64 * 1024

_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # What we have sent and nobody acknowledges for so long (in ms) was sent to nobody: the default is a quarter of an
    # hour, in which each call would wait for Timer B.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000),
    # A phone that was unplugged is known after a minute and a half, and not when somebody calls it.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

# Linux has it, Python's socket module does not name it.
_IP_BIND_ADDRESS_NO_PORT = 24


class Channel:
    """One stream. Whoever opened it closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            for level, option, value in _OPTIONS:
                sock.setsockopt(level, option, value)

    @classmethod
    def towards(cls, remote: Address, local_host: str) -> Channel:
        """A channel that leaves from our own address, if that is a certain one. Raises OSError."""
        family = socket.AF_INET6 if ":" in remote.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            if local_host not in {"0.0.0.0", "::"}:
                # The port is chosen when it is known whom it is for, so that few hosts do not use up all ports.
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((local_host, 0))
            return cls(sock)
        except OSError:
            sock.close()
            raise

    async def connect(self, remote: Address) -> None:
        """Wait until connected. Raises OSError."""
        try:
            self._socket.connect(tuple(remote))
        except BlockingIOError:
            await trio.lowlevel.wait_writable(self._socket)
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error)) from None

    async def secure(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """TLS from here on: as client when there is a ``server_name`` to check, else as server. Raises OSError."""
        try:
            secured = context.wrap_socket(
                self._socket,
                server_side=server_name is None,
                server_hostname=server_name,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=True,
            )
        except ValueError as error:  # a name that nobody can have
            raise OSError(f"{server_name}: {error}") from error
        self._socket = secured
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(secured)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(secured)
            else:
                return

    def names(self) -> tuple[str, ...]:
        """What the certificate of the other end is made out to, if it has shown one that we trust."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return ()
        certificate: Any = self._socket.getpeercert() or {}
        return tuple(str(value) for _, value in certificate.get("subjectAltName", ()))

    def send(self, data: bytes) -> int:
        """Send what there is room for; returns how much that was. After 0, call again with the same data."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def receive(self) -> bytes | None:
        """What is there: empty at the end of the stream, None when nothing is there yet. Raises OSError."""
        try:
            return self._socket.recv(CHUNK_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    async def readable(self) -> None:
        """Wait until there is something to receive."""
        await trio.lowlevel.wait_readable(self._socket)

    async def writable(self) -> None:
        """Wait until there is room to send."""
        await trio.lowlevel.wait_writable(self._socket)

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.unwrap()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close it, whatever is under way."""
        self._socket.close()
