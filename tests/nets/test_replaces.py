"""Somebody takes the place of a party in a call that is up: INVITE with Replaces (RFC 3891)."""

from __future__ import annotations

import pytest

from tests.nets.phone import phone_sdp
from tests.nets.town import change_under_way, hear_one_another, instead_of, settled, talk, town
from tests.nets.world import until


@pytest.mark.parametrize("replaced", ["caller", "callee"])
async def test_somebody_takes_the_place_of_a_party(replaced):
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        leaves, stays = (mine, theirs) if replaced == "caller" else (theirs, mine)
        sues = world.sue.call(world.nets.address, host="sue.test", headers=(("Replaces", instead_of(leaves)),))
        await sues.answered.wait()
        await leaves.over.wait()
        await hear_one_another(sues, stays)
        assert not stays.over.is_set()
        stays.bye()
        await sues.over.wait()
        await settled(world)


async def test_somebody_takes_the_place_of_a_party_without_an_offer():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        headers = (("Replaces", instead_of(mine)),)
        sues = world.sue.call(world.nets.address, host="sue.test", headers=headers, offer=False)
        await mine.over.wait()
        await hear_one_another(sues, theirs)
        sues.bye()
        await settled(world)


async def test_a_place_is_not_taken_without_an_offer_while_the_session_is_being_changed():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        async with change_under_way(world, mine, theirs):
            headers = (("Replaces", instead_of(mine)),)
            sues = world.sue.call(world.nets.address, host="sue.test", headers=headers, offer=False)
            await sues.refused.wait()
            assert sues.final.status == 500
            assert sues.final.headers.get("Retry-After")
            assert not theirs.over.is_set()
            theirs.bye()
            await mine.over.wait()


async def test_a_party_whose_peer_cannot_be_replaced_talks_on():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        world.bob.reinvite_with = [488]
        sues = world.sue.call(world.nets.address, host="sue.test", headers=(("Replaces", instead_of(mine)),))
        await sues.refused.wait()
        assert sues.final.status == 488
        assert not mine.over.is_set()
        assert not theirs.over.is_set()
        assert (await mine.ask("INVITE", mine.phone.sdp)).status == 200
        await hear_one_another(mine, theirs)
        mine.bye()
        await theirs.over.wait()
        await settled(world)


async def test_who_gives_up_replacing_somebody_leaves_the_two_as_they_were():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        before = theirs.port
        world.bob.reinvite_with = ["nothing"]
        sues = world.sue.call(world.nets.address, host="sue.test", headers=(("Replaces", instead_of(mine)),))
        await until(lambda: theirs.reinvites)
        assert (await mine.ask("INVITE", phone_sdp(4000, "sendonly", 2))).status == 491
        assert (await mine.ask("INFO")).status == 500
        sues.cancel()
        await sues.refused.wait()
        theirs.answer_late(200)  # it has overtaken the CANCEL
        await until(lambda: theirs.reinvites > 1)
        await until(lambda: theirs.port == before)
        await hear_one_another(mine, theirs)
        mine.bye()
        await theirs.over.wait()
        await settled(world)


@pytest.mark.parametrize(
    ("replaces", "status"),
    [
        ("nobody;to-tag=1;from-tag=2", 481),
        ("{};early-only", 486),
        ("nonsense", 400),
        (";to-tag=1;from-tag=2", 400),
        ("x;to-tag=1;to-tag=2;from-tag=3", 400),
    ],
)
async def test_a_replaces_that_fits_nothing_changes_nothing(replaces, status):
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        headers = (("Replaces", replaces.format(instead_of(mine))),)
        sues = world.sue.call(world.nets.address, host="sue.test", headers=headers)
        await sues.refused.wait()
        assert sues.final.status == status
        assert not mine.over.is_set()
        theirs.bye()
        await settled(world)


async def test_two_replaces_are_refused():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        headers = [("Replaces", instead_of(mine)), ("Replaces", "x;to-tag=1;from-tag=2")]
        sues = world.sue.call(world.nets.address, host="sue.test", headers=headers)
        await sues.refused.wait()
        assert sues.final.status == 400
        theirs.bye()
        await settled(world)
