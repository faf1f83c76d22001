"""A real rtpengine stands in the list beside our own servers."""

import pytest

from mediaha.load import Load
from mediaha.model.media import Moved
from tests.failover.world import Phone, notices_until, open_world, until
from tests.peers import rtpengine
from tests.peers.installed import unless

pytestmark = [
    pytest.mark.interop,
    unless(rtpengine.missing()),
]


@pytest.fixture
def load():
    load = Load()
    yield load
    load.close()


async def test_audio_goes_through_an_rtpengine_until_it_is_killed_and_then_through_ours(load, tmp_path):
    with rtpengine.Rtpengine("foreign", tmp_path) as foreign:
        async with open_world("ours", foreign=[foreign.spec]) as world:
            await world.usable("foreign")
            phone = Phone(load)
            offered, _ = await phone.call(world.pool, "call-1", ["foreign", "ours"])
            assert offered.server == "foreign"
            phone.talk()
            await until("both hear each other", lambda: phone.heard() > 10)
            foreign.crash()
            moved = await notices_until(world.pool, Moved)
            assert (moved.from_server, moved.server) == ("foreign", "ours")
            heard = phone.heard()
            phone.told(moved.sdp_for_caller, moved.sdp_for_callee)
            await until("both hear each other again", lambda: phone.heard() > heard + 10)
    assert load.arrivals().misdirected == 0


async def test_a_call_of_ours_moves_to_an_rtpengine(load, tmp_path):
    with rtpengine.Rtpengine("foreign", tmp_path) as foreign:
        async with open_world("ours", foreign=[foreign.spec]) as world:
            await world.usable("foreign")
            phone = Phone(load)
            offered, _ = await phone.call(world.pool, "call-1", ["ours", "foreign"])
            assert offered.server == "ours"
            phone.talk()
            await until("both hear each other", lambda: phone.heard() > 10)
            world.crash("ours")
            moved = await notices_until(world.pool, Moved)
            assert (moved.from_server, moved.server) == ("ours", "foreign")
            heard = phone.heard()
            phone.told(moved.sdp_for_caller, moved.sdp_for_callee)
            await until("both hear each other again", lambda: phone.heard() > heard + 10)
            phone.hang_up()
            await world.pool.delete("call-1")


async def test_an_rtpengine_that_hangs_loses_its_calls_to_ours(load, tmp_path):
    with rtpengine.Rtpengine("foreign", tmp_path) as foreign:
        async with open_world("ours", foreign=[foreign.spec]) as world:
            await world.usable("foreign")
            phone = Phone(load)
            await phone.call(world.pool, "call-1", ["foreign", "ours"])
            foreign.hang()
            moved = await notices_until(world.pool, Moved)
            assert moved.server == "ours"


async def test_an_rtpengine_that_lost_its_memory_is_given_the_call_anew(load, tmp_path):
    """It names no instance in its pongs: only asking for a call finds out that it was restarted."""
    with rtpengine.Rtpengine("foreign", tmp_path) as foreign:
        async with open_world(foreign=[foreign.spec]) as world:
            await world.usable("foreign")
            phone = Phone(load)
            await phone.call(world.pool, "call-1", ["foreign"])
            foreign.forget("call-1")
            moved = await notices_until(world.pool, Moved)
            assert (moved.call_id, moved.server) == ("call-1", "foreign")
            phone.told(moved.sdp_for_caller, moved.sdp_for_callee)
            phone.talk()
            await until("both hear each other", lambda: phone.heard() > 10)
