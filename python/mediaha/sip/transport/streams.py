"""SIP over TCP and TLS: one listener and the connections that belong to it, both those that came and those we opened.

Does; who is let in is decided by `doors`, how long things may take by `patience`.
"""

from __future__ import annotations

import socket
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from functools import partial
from itertools import count
from math import inf

import structlog
import trio

from mediaha.model.address import Address
from mediaha.sip.target import TCP, TLS, Place, Target
from mediaha.sip.transaction.schedule import Schedule
from mediaha.sip.transport.channel import Channel
from mediaha.sip.transport.connection import Connection, Unsent
from mediaha.sip.transport.doors import Doors, TurnedAway
from mediaha.sip.transport.literal import is_literal
from mediaha.sip.transport.patience import Patience, StreamLimits
from mediaha.sip.transport.seam import NOTHING, Ears, Heard
from mediaha.sip.transport.tls import Identity

BACKLOG = 512
ACCEPTS_MAX = 64
"""Connections taken per wake-up."""
OUT_OF_FILES_S = 0.2
"""How long we wait when there are no file descriptors left, before we try again."""
TIMER_SLACK_S = 0.25
"""Deadlines of connections are no matter of milliseconds; those that come close together share one wake-up."""

_NUMBERS = count(1)
"""Of the connections of all listeners: a number alone says which one is meant."""
_NO_ROOM = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})

_log = structlog.get_logger(__name__)


class Peer:
    """A connection in the tables, with what wakes it."""

    __slots__ = ("connection", "key", "queued_at")

    def __init__(self, connection: Connection, key: tuple[Address, str]) -> None:
        self.connection = connection
        self.key = key
        """Address and certificate name by which it can be used again."""
        self.queued_at = inf

    @property
    def wake_at(self) -> float:
        """The next deadline."""
        return self.connection.patience.wake_at


class StreamTransport:
    """A listening socket. Without an ``identity`` it is TCP, with one it is TLS."""

    def __init__(
        self,
        address: Address,
        name: str,
        advertised: str | None = None,
        *,
        identity: Identity | None = None,
        limits: StreamLimits,
    ) -> None:
        """Listen. Raises OSError: the address is in use or not ours."""
        self._socket = _listening(address)
        self._identity = identity
        self._limits = limits
        self._transport = TCP if identity is None else TLS
        self.address = Address(*self._socket.getsockname()[:2])
        sent_by = Address(advertised or self.address.host, self.address.port)
        name = name or f"{self._transport.lower()} {self.address}"
        self.place = Place(self._transport, sent_by, name, ":" in self.address.host)
        self.turned_away = 0
        """Connections that were refused."""
        self.cut_off = 0
        """Connections that we ended, for one of the limits."""
        self._doors = Doors(limits)
        self._peers: dict[int, Peer] = {}
        self._by_key: dict[tuple[Address, str], int] = {}
        self._schedule: Schedule[Peer] = Schedule()
        self._unsent = Unsent()
        self._nursery: trio.Nursery | None = None
        self._ears: Ears | None = None
        self._alarm = trio.CancelScope()

    @property
    def unsent(self) -> int:
        """Nothing is dropped silently here: a peer that does not read is cut off."""
        return 0

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._peers)

    @property
    def certificate_ends(self) -> float | None:
        """Until when its certificate is valid, seconds since 1970; None without TLS."""
        return None if self._identity is None else self._identity.ends

    def has(self, connection: int) -> bool:
        """Whether something can be sent on the connection of this number."""
        peer = self._peers.get(connection)
        return peer is not None and not peer.connection.ending

    def names(self, flow: Target) -> tuple[str, ...]:
        """What the certificate at the other end of a connection is made out to; empty when it has shown none."""
        peer = self._peers.get(flow.connection)
        return peer.connection.names if peer else ()

    def reload(self) -> None:
        """Read the certificates again, for connections to come. Raises CertificateError."""
        if self._identity is not None:
            self._identity.reload()

    def send(self, message: bytes, target: Target) -> str | None:
        """Send on the connection that leads there; a new one is opened when there is none."""
        number = target.connection or self._by_key.get((target.address, target.server_name), 0)
        peer = self._peers.get(number)
        if peer is None or (peer.connection.ending and not target.connection):
            if target.connection:
                return "the connection is closed"
            opened = self._open(target)
            if isinstance(opened, str):
                return opened
            peer = opened
        return peer.connection.send(message)

    def receive(self) -> Heard:
        """Connections tell by themselves."""
        return NOTHING

    async def run(self, ears: Ears, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take connections, and keep those that there are, until cancelled."""
        self._ears = ears
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._keep_time)
            task_status.started()
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                await self._accept()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    # Connections

    async def _accept(self) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                sock, source = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    _log.warning("no_room_for_connections", listener=self.place.name, why=error.strerror)
                    await trio.sleep(OUT_OF_FILES_S)
                    return
                continue  # it was gone before we took it
            remote = Address(source[0], source[1])
            if self._ears is not None and not self._ears.welcomes(remote.host, self._transport):
                self.turned_away += 1
                sock.close()
                continue
            peer = self._enter(remote, "", Channel(sock), ours=False)
            if isinstance(peer, str):
                self.turned_away += 1
                sock.close()

    def _open(self, target: Target) -> Peer | str:
        if not is_literal(target.address.host, ipv6=self.place.ipv6):
            return f"{target.address.host} is not an address of this listener's kind"
        if self._transport == TLS and not target.server_name and self._checks_names:
            return "TLS needs the name that the certificate must have"
        try:
            channel = Channel.towards(target.address, self.address.host)
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error)
        peer = self._enter(target.address, target.server_name, channel, ours=True)
        if isinstance(peer, str):
            channel.close()
        return peer

    def _enter(self, remote: Address, server_name: str, channel: Channel, *, ours: bool) -> Peer | str:
        """Let it in, if there is room: it is in the tables until its task ends."""
        if self._nursery is None:
            return "the endpoint is not running"
        number = next(_NUMBERS)
        now = trio.current_time()
        verdict = self._doors.arrive(number, remote.host, now, ours=ours)
        if isinstance(verdict, TurnedAway):
            return verdict.why
        if verdict.instead is not None and verdict.instead in self._peers:
            self._peers[verdict.instead].connection.cut("it made room for another")
        flow = Target(self._transport, remote, server_name, self.place.name, number)
        connection = Connection(
            flow,
            channel,
            patience=Patience(self._limits, now, ours=ours),
            limits=self._limits,
            unsent=self._unsent,
            stirred=self._stirred,
        )
        peer = Peer(connection, (remote, server_name))
        self._peers[number] = peer
        # Of several that lead to the same place the youngest is used: the older may be about to end.
        self._by_key[peer.key] = number
        self._note(peer)
        self._nursery.start_soon(self._live, peer, ours)
        return peer

    async def _live(self, peer: Peer, ours: bool) -> None:
        connection = peer.connection
        assert self._ears is not None
        try:
            await connection.run(partial(self._establish, connection.flow, ours=ours), self._ears)
        finally:
            self._forget(peer)
        flow = connection.flow
        if peer.key in self._by_key:
            # Another connection has taken its place already: what goes there is not concerned.
            flow = flow._replace(listener="")
        self._ears.heard(Heard(lost=[(flow, connection.why)]))

    async def _establish(self, flow: Target, channel: Channel, *, ours: bool) -> None:
        if ours:
            await channel.connect(flow.address)
        if self._identity is None:
            return
        if ours:
            await channel.secure(self._identity.as_client, flow.server_name or flow.address.host)
        else:
            await channel.secure(self._identity.as_server, None)

    def _forget(self, peer: Peer) -> None:
        number = peer.connection.flow.connection
        del self._peers[number]
        if self._by_key.get(peer.key) == number:
            del self._by_key[peer.key]
        self._doors.leave(number)

    @property
    def _checks_names(self) -> bool:
        return self._identity is not None and self._identity.files.verify

    # Deadlines

    def _stirred(self, connection: Connection, messages: int) -> None:
        number = connection.flow.connection
        self._doors.heard(number, trio.current_time(), messages=messages > 0)
        peer = self._peers.get(number)
        if peer is not None:
            self._note(peer)

    def _note(self, peer: Peer) -> None:
        self._schedule.note(peer)
        wake_at = self._schedule.wake_at() + TIMER_SLACK_S
        self._alarm.deadline = min(self._alarm.deadline, wake_at)

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._schedule.wake_at() + TIMER_SLACK_S) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            for peer in self._schedule.due(now):
                self.cut_off += peer.connection.wake(now)
                self._schedule.note(peer)


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # Connections of the process before us may still be fading away; they must not keep us from starting.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(tuple(address))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
