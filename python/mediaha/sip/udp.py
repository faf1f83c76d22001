"""SIP over UDP: one socket, drained in batches, sent to directly."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections import deque
from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH
from functools import lru_cache

import trio

from mediaha.model.address import Address

DATAGRAM_MAX = 65_535
BATCH_MAX = 64
"""Datagrams taken per wake-up, so that a flood leaves time for the calls that it is about."""
BACKLOG_MAX = 1024
"""Datagrams kept while the socket's buffer is full; later ones are dropped and counted."""
BUFFER_BYTES = 4 * 1024 * 1024
FAILURES_MAX = 64

# Linux has these, Python's socket module does not name them all.
_SO_RCVBUFFORCE = 33
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_UNREACHABLE = frozenset({ECONNREFUSED, EHOSTUNREACH, ENETUNREACH})


class UdpTransport:
    """A bound socket. Closed ports and dead hosts are learnt from ICMP (IP_RECVERR)."""

    name = "UDP"

    def __init__(self, address: Address) -> None:
        """Bind. Raises OSError: the address is in use or not ours."""
        self._family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if self._family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            level, option = _RECVERR[self._family]
            self._socket.setsockopt(level, option, 1)
            _enlarge(self._socket)
            self._socket.bind(tuple(address))
        except OSError:
            self._socket.close()
            raise
        self.address = Address(*self._socket.getsockname()[:2])
        self.unsent = 0
        self._failed = False
        """Whether the error queue may hold something."""
        self._backlog: deque[tuple[bytes, Address]] = deque()
        self._waiting = trio.Event()

    def send(self, message: bytes, target: Address) -> str | None:
        """Send, or keep for when there is room. Returns why the target cannot be reached, or None."""
        if not _is_literal(target.host, self._family):
            return f"{target.host} is not an address of this socket's kind"
        if self._backlog:
            self._keep(message, target)
            return None
        return self._send(message, target)

    def receive(self) -> list[tuple[bytes, Address]]:
        """What has arrived: at most BATCH_MAX datagrams."""
        batch: list[tuple[bytes, Address]] = []
        receive = self._socket.recvfrom
        for _ in range(BATCH_MAX):
            try:
                datagram, source = receive(DATAGRAM_MAX)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error of an earlier datagram; its details are in the error queue
                self._failed = True
                continue
            if source[1] != 0:  # nobody can be answered at port 0
                batch.append((datagram, Address(source[0], source[1])))
        return batch

    def failures(self) -> list[tuple[Address, str]]:
        """Targets that ICMP reported as unreachable."""
        failures: list[tuple[Address, str]] = []
        if not self._failed:  # the kernel says so first with an error of the next call; this saves one per wake-up
            return failures
        for _ in range(FAILURES_MAX):
            try:
                _, ancillary, _, target = self._socket.recvmsg(1, 512, socket.MSG_ERRQUEUE)
            except OSError:
                self._failed = False
                break
            for level, kind, data in ancillary:
                if (level, kind) == _RECVERR[self._family] and len(data) >= _EXTENDED_ERROR.size:
                    error = _EXTENDED_ERROR.unpack_from(data)[0]
                    if error in _UNREACHABLE and target:
                        failures.append((Address(target[0], target[1]), os.strerror(error)))
        return failures

    async def readable(self) -> None:
        """Wait until a datagram or an ICMP error is there."""
        await trio.lowlevel.wait_readable(self._socket)

    async def run(self) -> None:
        """Send what was kept, until cancelled."""
        while True:
            await self._waiting.wait()
            await trio.lowlevel.wait_writable(self._socket)
            for _ in range(len(self._backlog)):
                message, target = self._backlog.popleft()
                before = len(self._backlog)
                self._send(message, target)
                if len(self._backlog) > before:  # still full: it went back to the end, the order is lost, and no harm
                    break
            if not self._backlog:
                self._waiting = trio.Event()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, message: bytes, target: Address) -> str | None:
        why = None
        for _ in range(2):
            try:
                self._socket.sendto(message, target)
            except BlockingIOError:
                self._keep(message, target)
            except OSError as error:
                # The first may report an earlier datagram (the error queue says to whom); the second is ours.
                self._failed = True
                why = error.strerror or str(error)
                continue
            return None
        return why

    def _keep(self, message: bytes, target: Address) -> None:
        if len(self._backlog) >= BACKLOG_MAX:
            self.unsent += 1
            return
        self._backlog.append((message, target))
        self._waiting.set()


def _enlarge(sock: socket.socket) -> None:
    """Room for a second of a busy trunk: hundreds of re-INVITEs are answered at once when a media server dies."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)  # past rmem_max, for those who may


@lru_cache(maxsize=4096)
def _is_literal(host: str, family: socket.AddressFamily) -> bool:
    # A name handed to sendto would be looked up there and then, and every call would wait for DNS.
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return False
    return True
