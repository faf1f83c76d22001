"""Calls over a network that loses, repeats and reorders: whatever happens in them, nothing is left in the end."""

from __future__ import annotations

import dataclasses
import random
from urllib.parse import quote

import pytest
import trio

from mediaha.nets import Limits
from mediaha.sip.transaction.timers import Timers
from tests.nets.phone import phone_sdp
from tests.nets.town import Partition, instead_of
from tests.nets.world import open_world, until

FAST = Timers(t1=0.03, t2=0.12, t4=0.15, trying=0.02, d=2.0)
DIRECTIONS = ["sendonly", "sendrecv", "inactive"]
LIMITS = Limits(request_s_max=FAST.transaction, ring_s_max=1.0, stranded_s_max=1.0)


@pytest.mark.parametrize("seed", range(6))
async def test_a_bad_network_leaves_nothing_behind(seed):
    chance = random.Random(seed)
    async with open_world(timers=FAST, limits=LIMITS, servers=("a", "b", "c")) as world:
        world.spoil(seed, 0.15)
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(_life, world, random.Random(chance.random()))
            await trio.sleep(0.3)
            world.pool.crash("a")
            await trio.sleep(0.3)
            world.pool.crash("b")
        await world.nets.drain(0.0)
        await world.empties()
        transactions = world.nets._endpoint
        await until(lambda: transactions.open_transactions == (0, 0), within=20.0)
        assert not world.nets._carrier.counters.get("decisions_failed")


async def _life(world, chance):
    """One call and what its caller thinks of doing."""
    await trio.sleep(chance.random() * 0.3)
    world.callee.script = chance.choice([[180, 200], [180, 200], ["early", 200], [180, 486], [180, None]])
    mine = world.caller.call(world.nets.address, offer=chance.random() < 0.8)
    with trio.move_on_after(chance.random()):
        await mine.answered.wait()
    if not mine.answered.is_set():
        world.caller.endpoint.cancel(mine.key)
        with trio.move_on_after(5.0):
            await mine.refused.wait()
        return
    for _ in range(3):
        with trio.move_on_after(3.0):
            changed = phone_sdp(4000, chance.choice(DIRECTIONS))
            await mine.ask(chance.choice(["INVITE", "INVITE", "UPDATE", "INFO"]), changed)
        if mine.over.is_set():
            return
    mine.bye()


@pytest.mark.parametrize("seed", range(2))
async def test_phones_that_vanish_for_good_leave_nothing_behind(seed):
    """Nobody hangs up and nothing is drained: NeTS finds out by itself, whatever their calls were about."""
    chance = random.Random(seed)
    limits = dataclasses.replace(LIMITS, session_s=2, session_s_min=1)
    async with open_world(timers=FAST, limits=limits, servers=("a", "b", "c")) as world:
        networks = world.spoil(seed, 0.1)
        with trio.move_on_after(2.0):
            async with trio.open_nursery() as nursery:
                for _ in range(12):
                    nursery.start_soon(_talks_for_ever, world, random.Random(chance.random()))
                await trio.sleep(0.2 + 0.4 * chance.random())
                world.pool.crash("a")
                await trio.sleep(0.05 * chance.random())
                for network in chance.choice([networks, networks[:1], networks[1:]]):
                    network.vanish()
                world.pool.crash("b")
        assert len(world.nets.calls()) > world.nets.ending(), "somebody was there to vanish"
        await until(lambda: not any(world.nets._carrier.tables.sizes().values()), within=30.0)
        assert not world.pool.calls, "media is left"
        await until(lambda: world.nets._endpoint.open_transactions == (0, 0), within=20.0)
        assert not world.nets._carrier.counters.get("decisions_failed")


async def _talks_for_ever(world, chance):
    """A call whose caller now and then changes something, and never hangs up."""
    await trio.sleep(chance.random() * 0.3)
    mine = world.caller.call(world.nets.address, offer=chance.random() < 0.8)
    await mine.answered.wait()
    while True:
        await mine.ask(chance.choice(["INVITE", "UPDATE", "INFO"]), phone_sdp(4000, chance.choice(DIRECTIONS)))
        await trio.sleep(chance.random() * 0.2)


@pytest.mark.parametrize("seed", range(3))
async def test_transfers_over_a_bad_network_leave_nothing_behind(seed):
    chance = random.Random(seed)
    async with open_world(timers=FAST, limits=LIMITS, servers=("a", "b", "c")) as world:
        world.route(Partition(world.caller, world.callee, world.second))
        world.spoil(seed, 0.1)
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(_transferred_life, world, random.Random(chance.random()))
            await trio.sleep(0.5)
            world.pool.crash("a")
            await trio.sleep(0.5)
            world.pool.crash("b")
        await world.nets.drain(0.0)
        await world.empties()
        await until(lambda: world.nets._endpoint.open_transactions == (0, 0), within=20.0)
        counters = world.nets._carrier.counters
        assert not counters.get("decisions_failed")
        assert counters.get("transfer asked"), "some got as far as that"


async def _transferred_life(world, chance):
    """A call, perhaps a second one; one of the parties has the other transferred, and somebody hangs up."""
    await trio.sleep(chance.random() * 0.3)
    world.callee.script = [180, 200]
    world.second.script = chance.choice([[180, 200], [200], [180, 486], [180, None], [None]])
    mine = world.caller.call(world.nets.address, host="bob.test", user="bob")
    with trio.move_on_after(2.0):
        theirs = await world.callee.rings.receive()
        await mine.answered.wait()
    if not mine.answered.is_set():
        return
    uri = "sip:sue@sue.test"
    if chance.random() < 0.5:
        also = world.caller.call(world.nets.address, host="sue.test", user="sue")
        with trio.move_on_after(1.0):
            await (also.answered if chance.random() < 0.7 else also.ringing).wait()
        if also.dialog is not None:
            uri += f"?Replaces={quote(instead_of(also), safe='')}"
    with trio.move_on_after(3.0):
        await chance.choice([mine, mine, theirs]).ask("REFER", Refer_To=f"<{uri}>")
    await trio.sleep(chance.random())
    for call in chance.sample([mine, theirs], chance.randrange(3)):
        if not call.over.is_set():
            call.bye()
