"""A pool over real sockets, with media servers that a test can crash, and phones that talk through them."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio

from mediaha.failover import MediaPool, open_pool
from mediaha.media import RunningMedia, serve_media
from mediaha.model.address import Address
from mediaha.model.media import ServerCondition
from mediaha.model.site import MediaServerSpec, Timings
from tests.peers.ports import free_udp_port


async def until(what, done, within_s=30.0):
    """Wait for the thing; a test that waits for luck is none."""
    with trio.move_on_after(within_s):
        while not done():  # noqa: ASYNC110 - what is waited for is in another thread or process
            await trio.sleep(0.002)
        return
    pytest.fail(f"never happened: {what}")


async def notices_until(pool, wanted, within_s=30.0):
    """Read notices until one of the type ``wanted`` comes; gives it."""
    with trio.fail_after(within_s):
        async for notice in pool.notices():
            if isinstance(notice, wanted):
                return notice
    raise AssertionError("the channel was closed")


def spec(name, ng_port=0, place=0):
    """A media server of this host, the ``place``th: it needs ports for a thousand calls."""
    first = 20000 + 4000 * place
    return MediaServerSpec(name, "here", Address("127.0.0.1", ng_port), ports=(first, first + 3999))


@dataclass
class World:
    """Media servers in this process and a pool that watches them."""

    specs: dict[str, MediaServerSpec]
    nursery: trio.Nursery
    pool: MediaPool = field(init=False)
    running: dict[str, RunningMedia] = field(default_factory=dict)
    scopes: dict[str, trio.CancelScope] = field(default_factory=dict)

    async def start(self, name):
        """Start a server, also one that crashed."""
        self.running[name] = await self.nursery.start(self._serve, name)

    async def _serve(self, name, *, task_status):
        with trio.CancelScope() as self.scopes[name]:
            await serve_media(self.specs[name], task_status=task_status)

    def crash(self, name):
        """Close the server's sockets at once: from now on its ports are unreachable."""
        self.scopes[name].cancel()

    async def usable(self, *names):
        """Wait until the pool trusts these servers."""

        def trusted():
            views = {view.name: view.condition for view in self.pool.servers()}
            return all(views.get(name) is ServerCondition.USABLE for name in names)

        await until(f"{names} are usable", trusted)


@asynccontextmanager
async def open_world(*names, foreign=(), timings=None):
    """Servers called ``names``, in this process, then ``foreign`` ones (specs); all of them in the pool."""
    specs = {name: spec(name, free_udp_port(), place) for place, name in enumerate(names)}
    listed = [*specs.values(), *foreign]
    async with trio.open_nursery() as nursery:
        world = World(specs, nursery)
        for name in names:
            await world.start(name)
        async with open_pool(listed, timings or Timings(hold_down_ms=200)) as world.pool:
            await world.usable(*names)
            yield world
        nursery.cancel_scope.cancel()


def sdp(port, version=1):
    """An audio stream at 127.0.0.1:``port``."""
    return (
        f"v=0\r\no=phone 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    ).encode()


def audio_at(description):
    """Where an SDP wants its first audio stream."""
    lines = description.decode().splitlines()
    host = next(line.split()[2] for line in lines if line.startswith("c="))
    port = next(line.split()[1] for line in lines if line.startswith("m=audio"))
    return f"{host}:{port}"


class Phone:
    """Both parties of one call, with the load generator for mouth and ears."""

    def __init__(self, load):
        self.load = load
        self.caller, self.callee = load.open(), load.open()
        load.pair(self.caller[0], self.callee[0])

    async def call(self, pool, call_id, servers):
        """Offer and answer; gives the answers of the pool."""
        offered = await pool.offer(call_id, "from", None, self.sdp(self.caller), servers)
        answered = await pool.answer(call_id, "from", "to", self.sdp(self.callee))
        self.told(answered.sdp, offered.sdp)
        return offered, answered

    def told(self, sdp_for_caller, sdp_for_callee):
        """What a re-INVITE would tell the parties."""
        self.load.aim(self.caller[0], audio_at(sdp_for_caller))
        self.load.aim(self.callee[0], audio_at(sdp_for_callee))

    def talk(self):
        self.load.start(self.caller[0])
        self.load.start(self.callee[0])

    def hang_up(self):
        self.load.stop(self.caller[0])
        self.load.stop(self.callee[0])

    def heard(self):
        """Packets heard by the one who heard less."""
        return min(self.load.arrivals(who).received for who, _ in (self.caller, self.callee))

    @staticmethod
    def sdp(endpoint):
        return sdp(int(endpoint[1].rsplit(":", 1)[1]))
