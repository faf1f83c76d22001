"""Transports without sockets: what NeTS sends is handed to the stage, what the stage says is heard by NeTS."""

from __future__ import annotations

from unittest import mock

import trio

from mediaha.sip.target import UDP, Place, Target
from mediaha.sip.transport import streams
from mediaha.sip.transport.framing import Framing
from mediaha.sip.transport.seam import NOTHING, Heard
from mediaha.sip.transport.streams import StreamTransport

CLOSED = "Connection refused"


class Ears:
    """NeTS's endpoint, with the stage listening in."""

    def __init__(self, endpoint, stage) -> None:
        self._endpoint = endpoint
        self._stage = stage
        self.welcomes = endpoint.welcomes

    def heard(self, heard):
        for message, _ in heard.messages:
            self._stage.takes(message)
        self._endpoint.heard(heard)

    def cut_short(self, head, status, reason, flow):
        self._stage.takes(head)
        self._endpoint.cut_short(head, status, reason, flow)


class WireUdp:
    """Datagrams."""

    def __init__(self, address, stage) -> None:
        self.address = address
        self.place = Place(UDP, address, "udp")
        self.unsent = 0
        self._stage = stage
        self._ears = None

    def send(self, message, target):
        closed = target.address in self._stage.closed
        self._stage.hears(message, target.address, lost=closed)
        return CLOSED if closed else None

    def receive(self):
        return NOTHING

    async def run(self, ears, task_status=trio.TASK_STATUS_IGNORED):
        self._ears = Ears(ears, self._stage)
        task_status.started()
        await trio.sleep_forever()

    def close(self):
        pass

    def says(self, message, source):
        flow = Target(UDP, source, "", "udp")
        self._ears.heard(Heard([(message, flow)]))
        return flow

    def reports(self, target):
        """ICMP: nothing gets through there."""
        self._ears.heard(Heard(lost=[(Target(UDP, target, "", "udp"), CLOSED)]))


class _NoSocket:
    """What `StreamTransport` asks its listening socket before it runs, and after."""

    def __init__(self, address) -> None:
        self._address = address

    def getsockname(self):
        return tuple(self._address)

    def close(self):
        pass


class WireStreams(StreamTransport):
    """TCP connections, all of it real but the sockets."""

    def __init__(self, address, stage, limits) -> None:
        with mock.patch.object(streams, "_listening", _NoSocket):
            super().__init__(address, "tcp", limits=limits)
        self._stage = stage

    async def run(self, ears, task_status=trio.TASK_STATUS_IGNORED):
        self._ears = Ears(ears, self._stage)
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._keep_time)
            task_status.started()
            await trio.sleep_forever()

    def connected_by(self, source):
        """Somebody connects to us; None: he was turned away."""
        if not self._ears.welcomes(source.host, self._transport):
            return None
        stream = Stream(self._stage, source)
        peer = self._enter(source, "", stream, ours=False)
        if isinstance(peer, str):
            return None
        stream.flow = peer.connection.flow
        return stream


class Stream:
    """One connection, as a `Channel` to us and as a pipe to the stage."""

    def __init__(self, stage, remote) -> None:
        self.remote = remote
        self.flow = None
        self.full = False
        """Whether the other end reads nothing."""
        self._stage = stage
        self._came = bytearray()
        self._ended = False
        self._closed = False
        self._stirred = trio.Event()
        self._framing = Framing()
        stage.streams.append(self)

    @classmethod
    def towards(cls, stage, remote, local_host):
        return cls(stage, remote)

    # As the stage uses it

    def says(self, data):
        self._came += data
        self._stir()

    def ends(self):
        self._ended = True
        self._stir()

    def reads(self, some):
        """Whether the other end takes what we send."""
        self.full = not some
        self._stir()

    @property
    def over(self):
        return self._closed

    def _stir(self):
        self._stirred.set()
        self._stirred = trio.Event()

    # As a Channel

    async def connect(self, remote):
        await trio.lowlevel.checkpoint()
        if remote in self._stage.closed:
            raise ConnectionRefusedError(111, CLOSED)

    def names(self):
        return ()

    def send(self, data):
        if self._ended:
            raise BrokenPipeError(32, "Broken pipe")
        if self.full:
            return 0
        sent = data[: 1 + len(data) // 2] if len(data) % 7 == 0 else data
        for message in self._framing.feed(sent):
            self._stage.hears(message, self)
        assert self._framing.fault is None, f"a stream of ours cannot be followed: {self._framing.fault}"
        return len(sent)

    def receive(self):
        if self._came:
            data = bytes(self._came[:65536])
            del self._came[:65536]
            return data
        return b"" if self._ended else None

    async def readable(self):
        while not self._came and not self._ended:
            await self._stirred.wait()

    async def writable(self):
        while self.full and not self._ended:
            await self._stirred.wait()

    def finish(self):
        pass

    def close(self):
        self._closed = True
