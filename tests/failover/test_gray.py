"""A media server answers its control port and forwards no packet: the pool finds out by packets of its own."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from mediaha.model.address import Address
from mediaha.model.media import Moved, ServerCondition
from mediaha.model.site import MediaServerSpec, Timings
from tests.failover.world import notices_until, open_world, sdp, until
from tests.peers import netns, rtpengine
from tests.peers.installed import needs, unless
from tests.peers.mediaserver import MediaServer

PORTS = (28000, 28999)
PROBED = Timings(hold_down_ms=300, probe_ms=50)

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
    needs("nft", "nftables"),
]


@pytest.fixture
def far():
    with netns.Namespace() as host:
        yield host


@contextmanager
def our_server(folder, host):
    """A media server of ours on that host; gives its entry in the pool's list."""
    with MediaServer(folder, "far", host=netns.FAR, ports=PORTS, inside=host.inside) as server:
        address, port = server.ng.split(":")
        yield MediaServerSpec("far", "there", Address(address, int(port)), ports=PORTS, managed=False)


@contextmanager
def an_rtpengine(folder, host):
    """The same, of an rtpengine."""
    if rtpengine.missing() is not None:
        pytest.skip(rtpengine.missing())
    with rtpengine.Rtpengine("far", folder, PORTS, host=netns.FAR, inside=host.inside) as running:
        yield running.spec


@pytest.mark.parametrize("server", [our_server, an_rtpengine])
async def test_calls_leave_a_server_that_forwards_nothing_and_new_ones_come_when_it_does_again(server, tmp_path, far):
    with server(tmp_path, far) as spec:
        async with open_world("near", foreign=[spec], timings=PROBED) as world:
            await world.usable("far", "near")
            offered = await world.pool.offer("call-1", "from", None, sdp(4000), ["far", "near"])
            await world.pool.answer("call-1", "from", "to", sdp(4002))
            assert offered.server == "far"
            # What has never come back is not missed.
            await until("packets come back", lambda: seen(world).forwards)
            far.swallow(*PORTS)
            moved = await notices_until(world.pool, Moved, within_s=20)
            assert (moved.from_server, moved.server) == ("far", "near")
            assert (seen(world).condition, seen(world).forwards) == (ServerCondition.SUSPECT, False)
            assert seen(world).why == "answers, and forwards no media"
            elsewhere = await world.pool.offer("call-2", "from", None, sdp(4004), ["far", "near"])
            assert elsewhere.server == "near"
            far.swallow_no_more()
            await world.usable("far")
            back = await world.pool.offer("call-3", "from", None, sdp(4006), ["far", "near"])
            assert back.server == "far"


def seen(world):
    """The server in the other namespace as the pool sees it."""
    return next(view for view in world.pool.servers() if view.name == "far")
