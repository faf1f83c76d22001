"""A whole NeTS on the real failover pool and real media servers, with sound, while servers die."""

from __future__ import annotations

import pytest
import trio

from mediaha.load import Load
from tests.failover.world import audio_at
from tests.nets.phone import phone_sdp
from tests.nets.world import open_world, until


@pytest.fixture
def load():
    load = Load()
    yield load
    load.close()


@pytest.fixture
async def world(pool_with):
    async with pool_with("a", "b") as servers, open_world(pool=servers.pool) as world:
        world.media = servers
        yield world


class Talk:
    """Both parties' mouths and ears; they send to wherever their phone has been told last."""

    def __init__(self, world, load):
        self.world, self.load = world, load
        self.caller, self.callee = load.open(), load.open()
        load.pair(self.caller[0], self.callee[0])
        world.caller.sdp = self._sdp(self.caller)
        world.callee.sdp = self._sdp(self.callee)

    @staticmethod
    def _sdp(endpoint):
        return phone_sdp(int(endpoint[1].rsplit(":", 1)[1]))

    async def connect(self):
        mine, theirs = await self.world.connect()
        self.world.nursery.start_soon(self._follow, mine, self.caller[0])
        self.world.nursery.start_soon(self._follow, theirs, self.callee[0])
        self.load.start(self.caller[0])
        self.load.start(self.callee[0])
        return mine, theirs

    async def _follow(self, call, endpoint):
        while True:
            changed = call.changed
            self.load.aim(endpoint, audio_at(call.heard))
            await changed.wait()

    def heard(self):
        return min(self.load.arrivals(who).received for who, _ in (self.caller, self.callee))

    async def hear_each_other(self):
        before = self.heard()
        await until(lambda: self.heard() > before + 10)


def anchor(world, call):
    """The server that has the call: the first of the list, or, on a busy machine, the one that answered first."""
    return world.nets.explain(call.invite.call_id)["media_server"]


async def moves_away(world, *calls):
    """Crash the server that has the call; until both parties have been told of the other one."""
    before = anchor(world, calls[0])
    world.media.crash(before)
    first, last = world.media.specs[before].ports
    for call in calls:
        with trio.fail_after(20):
            await call.until_port(lambda port: not first <= port <= last)
    after = anchor(world, calls[0])
    assert after != before
    return after


def sessions(world, name):
    return world.media.running[name].statistics()["sessions"]


async def test_sound_goes_on_when_the_media_server_dies(world, load):
    talk = Talk(world, load)
    mine, theirs = await talk.connect()
    await talk.hear_each_other()
    assert sessions(world, anchor(world, mine)) == 1
    after = await moves_away(world, mine, theirs)
    await talk.hear_each_other()
    mine.bye()
    await theirs.over.wait()
    await until(lambda: sessions(world, after) == 0)
    await until(lambda: not any(world.nets._carrier.tables.sizes().values()))


async def test_hold_and_a_refused_hold_and_then_a_crash(world, load):
    """The refused hold must not come back with the move."""
    talk = Talk(world, load)
    mine, theirs = await talk.connect()
    answer = await mine.ask("INVITE", world.caller.sdp.replace(b"sendrecv", b"sendonly"))
    assert answer.status == 200
    assert b"a=sendonly" in theirs.heard
    answer = await mine.ask("INVITE", world.caller.sdp)
    assert b"a=sendonly" not in theirs.heard
    world.callee.reinvite_with = [488]
    answer = await mine.ask("INVITE", world.caller.sdp.replace(b"sendrecv", b"inactive"))
    assert answer.status == 488
    await talk.hear_each_other()
    after = await moves_away(world, mine, theirs)
    assert b"a=inactive" not in theirs.heard
    await talk.hear_each_other()
    theirs.bye()
    await mine.over.wait()
    await until(lambda: sessions(world, after) == 0)


async def test_early_media_and_the_crash_while_it_rings(world, load):
    talk = Talk(world, load)
    world.callee.script = ["early", None]
    mine = world.caller.call(world.nets.address)
    theirs = await world.callee.rings.receive()
    await mine.ringing.wait()
    before = anchor(world, mine)
    first, last = world.media.specs[before].ports
    assert first <= mine.port <= last
    world.media.crash(before)
    await until(lambda: anchor(world, mine) != before)
    world.callee.respond(theirs, 200)
    await mine.answered.wait()
    assert not first <= mine.port <= last
    await theirs.until_port(lambda port: not first <= port <= last)
    for call, endpoint in ((mine, talk.caller), (theirs, talk.callee)):
        load.aim(endpoint[0], audio_at(call.heard))
        load.start(endpoint[0])
    await talk.hear_each_other()
    mine.bye()
    await theirs.over.wait()
    await until(lambda: sessions(world, anchor(world, mine) or "b") == 0)


async def test_an_invite_without_an_offer_and_a_crash(world, load):
    talk = Talk(world, load)
    mine = world.caller.call(world.nets.address, offer=False)
    theirs = await world.callee.rings.receive()
    await mine.answered.wait()
    await theirs.acked.wait()
    await moves_away(world, mine, theirs)
    for call, endpoint in ((mine, talk.caller), (theirs, talk.callee)):
        load.aim(endpoint[0], audio_at(call.heard))
        load.start(endpoint[0])
    await talk.hear_each_other()
    theirs.bye()
    await mine.over.wait()


async def test_unusable_sdp_is_the_callers_fault(world):
    world.caller.sdp = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio\r\n"
    mine = world.caller.call(world.nets.address)
    await mine.refused.wait()
    assert mine.final.status == 488


async def test_both_servers_dead_the_call_is_stranded_and_comes_back(world, load):
    talk = Talk(world, load)
    mine, theirs = await talk.connect()
    told = mine.port
    world.media.crash("a")
    world.media.crash("b")
    await until(lambda: "stranded" in [event["what"] for event in world.nets.explain(mine.invite.call_id)["events"]])
    late = world.caller.call(world.nets.address)
    with trio.fail_after(10):
        await late.refused.wait()
    assert late.final.status == 503
    await world.media.start("b")
    await mine.until_port(lambda port: port != told)
    await until(lambda: anchor(world, mine) == "b")
    await talk.hear_each_other()
    mine.bye()
    await theirs.over.wait()
