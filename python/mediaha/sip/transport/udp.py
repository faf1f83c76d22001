"""SIP over UDP: one socket, drained in batches, sent to directly."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections import deque
from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH

import trio

from mediaha.model.address import Address
from mediaha.sip.target import UDP, Place, Target
from mediaha.sip.transport.literal import is_literal
from mediaha.sip.transport.seam import Ears, Heard

DATAGRAM_MAX = 65_535
BATCH_MAX = 64
"""Datagrams taken per wake-up, so that a flood leaves time for the calls that it is about."""
BACKLOG_MAX = 1024
"""Datagrams kept while the socket's buffer is full; later ones are dropped and counted."""
BUFFER_BYTES = 4 * 1024 * 1024
FAILURES_MAX = 64
FLOWS_MAX = 4096

# Linux has these, Python's socket module does not name them all.
_SO_RCVBUFFORCE = 33
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_UNREACHABLE = frozenset({ECONNREFUSED, EHOSTUNREACH, ENETUNREACH})


class UdpTransport:
    """A bound socket. Closed ports and dead hosts are learnt from ICMP (IP_RECVERR)."""

    def __init__(self, address: Address, name: str, advertised: str | None = None) -> None:
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
        sent_by = Address(advertised or self.address.host, self.address.port)
        self.place = Place(UDP, sent_by, name or f"udp {self.address}", self._family == socket.AF_INET6)
        self.unsent = 0
        self._flows: dict[tuple[str, int], Target] = {}
        """Sources heard lately: a call manager sends thousands of datagrams from one."""
        self._failed = False
        """Whether the error queue may hold something."""
        self._backlog: deque[tuple[bytes, Address]] = deque()
        self._waiting = trio.Event()

    def send(self, message: bytes, target: Target) -> str | None:
        """Send, or keep for when there is room. Returns why the target cannot be reached, or None."""
        address = target.address
        if not is_literal(address.host, ipv6=self.place.ipv6):
            return f"{address.host} is not an address of this socket's kind"
        if self._backlog:
            self._keep(message, address)
            return None
        return self._send(message, address)

    def receive(self) -> Heard:
        """What has arrived: at most BATCH_MAX datagrams, and targets that ICMP reported as unreachable."""
        batch: list[tuple[bytes, Target]] = []
        receive = self._socket.recvfrom
        flows = self._flows
        more = True
        for _ in range(BATCH_MAX):
            try:
                datagram, source = receive(DATAGRAM_MAX)
            except BlockingIOError:
                more = False
                break
            except OSError:  # an ICMP error of an earlier datagram; its details are in the error queue
                self._failed = True
                continue
            flow = flows.get(source)
            if flow is None:
                flow = self._flow(source)
            if flow.address.port != 0:  # nobody can be answered at port 0
                batch.append((datagram, flow))
        # The kernel says so first with an error of the next call; this saves one per wake-up.
        return Heard(batch, self._failures() if self._failed else (), more)

    def _flow(self, source: tuple[str, int]) -> Target:
        if len(self._flows) >= FLOWS_MAX:
            self._flows.clear()
        flow = Target(UDP, Address(source[0], source[1]), "", self.place.name)
        self._flows[source] = flow
        return flow

    def _failures(self) -> list[tuple[Target, str]]:
        failures: list[tuple[Target, str]] = []
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
                        flow = Target(UDP, Address(target[0], target[1]), "", self.place.name)
                        failures.append((flow, os.strerror(error)))
        return failures

    async def run(self, ears: Ears, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell what arrives, and send what was kept, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_kept)
            task_status.started()
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                ears.heard(self.receive())

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def _send_kept(self) -> None:
        while True:
            await self._waiting.wait()
            await trio.lowlevel.wait_writable(self._socket)
            for _ in range(len(self._backlog)):
                message, address = self._backlog.popleft()
                before = len(self._backlog)
                self._send(message, address)
                if len(self._backlog) > before:  # still full: it went back to the end, the order is lost, and no harm
                    break
            if not self._backlog:
                self._waiting = trio.Event()

    def _send(self, message: bytes, address: Address) -> str | None:
        why = None
        for _ in range(2):
            try:
                self._socket.sendto(message, address)
            except BlockingIOError:
                self._keep(message, address)
            except OSError as error:
                # The first may report an earlier datagram (the error queue says to whom); the second is ours.
                self._failed = True
                why = error.strerror or str(error)
                continue
            return None
        return why

    def _keep(self, message: bytes, address: Address) -> None:
        if len(self._backlog) >= BACKLOG_MAX:
            self.unsent += 1
            return
        self._backlog.append((message, address))
        self._waiting.set()


def _enlarge(sock: socket.socket) -> None:
    """Room for a second of a busy trunk: hundreds of re-INVITEs are answered at once when a media server dies."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)  # past rmem_max, for those who may
