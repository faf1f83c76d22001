"""Attended transfers: a referrer who talks with both, and whom each of them hears afterwards (RFC 3515, RFC 3891)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from mediaha.nets import Limits
from tests.nets.town import (
    CALLS,
    attended,
    hear_one_another,
    instead_of,
    ring,
    settled,
    talk,
    to,
    told,
    town,
    two_calls,
)
from tests.nets.world import until


@pytest.mark.parametrize("how", CALLS)
async def test_an_attended_transfer(how):
    async with town() as world:
        first, second = await two_calls(world, how)
        (mine, bobs), (also_mine, sues) = first, second
        assert (await mine.ask("REFER", **to(attended(also_mine)))).status == 202
        await mine.over.wait()
        await also_mine.over.wait()
        assert told(mine)[-1] == ("SIP/2.0 200 OK", "terminated")
        await hear_one_another(bobs, sues)
        assert not bobs.over.is_set()
        assert not sues.over.is_set()
        assert len(world.nets.calls()) == 1
        sues.bye()
        await bobs.over.wait()
        await settled(world)


async def test_whom_the_referrer_still_calls_is_called_anew():
    """Ann does not wait for Sue to answer; her own call to her is over, Bob's takes its place."""
    async with town() as world:
        mine, bobs = await talk(world, world.ann, world.bob)
        also_mine, first = await ring(world, world.ann, world.sue)
        uri = f"sip:nets@{world.nets.address}?Replaces={quote(instead_of(also_mine), safe='')}"
        await mine.ask("REFER", **to(uri))
        await also_mine.refused.wait()
        await first.over.wait()
        second = await world.sue.rings.receive()
        world.sue.respond(second, 200)
        await mine.over.wait()
        await hear_one_another(bobs, second)
        second.bye()
        await settled(world)


async def test_the_target_of_an_attended_transfer_puts_it_off():
    async with town() as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both came in")
        world.sue.reinvite_with = [491]
        world.bob.reinvite_with = [491]
        await mine.ask("REFER", **to(attended(also_mine)))
        await mine.over.wait()
        await hear_one_another(bobs, sues)
        sues.bye()
        await bobs.over.wait()
        await settled(world)


async def test_a_target_that_cannot_take_the_media_goes_on_with_the_referrer():
    """Codecs do not fit: it is told to the referrer, who still has both."""
    async with town() as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both placed")
        world.sue.reinvite_with = [488]
        await mine.ask("REFER", **to(attended(also_mine)))
        await until(lambda: told(mine) and told(mine)[-1][1] == "terminated")
        assert told(mine)[-1][0].startswith("SIP/2.0 488")
        for one in (mine, bobs, also_mine, sues):
            assert not one.over.is_set()
        await until(lambda: len(world.nets.calls()) == 2)
        for one, other in ((also_mine, sues), (sues, also_mine)):
            assert (await one.ask("INFO")).status == 200
            assert (await one.ask("INVITE", one.phone.sdp)).status == 200
            await hear_one_another(one, other)
        assert (await mine.ask("INVITE", mine.phone.sdp)).status == 200, "and resumes whom it had put on hold"
        world.pool.crash("a")
        await hear_one_another(also_mine, sues, "b")
        await hear_one_another(mine, bobs, "b")
        assert (await mine.ask("REFER", **to(attended(also_mine)))).status == 202, "the second try succeeds"
        await hear_one_another(bobs, sues)
        await mine.over.wait()
        await also_mine.over.wait()
        sues.bye()
        await bobs.over.wait()
        await settled(world)


async def test_a_target_that_puts_it_off_for_ever_goes_on_with_the_referrer():
    async with town(limits=Limits(glare_max=1)) as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both came in")
        world.sue.reinvite_with = [491, 491, 491]
        await mine.ask("REFER", **to(attended(also_mine)))
        await until(lambda: told(mine) and told(mine)[-1][1] == "terminated")
        assert told(mine)[-1][0].startswith("SIP/2.0 491")
        world.sue.reinvite_with = []
        await hear_one_another(also_mine, sues)
        assert (await sues.ask("INFO")).status == 200
        sues.bye()
        await also_mine.over.wait()
        mine.bye()
        await bobs.over.wait()
        await settled(world)


async def test_one_who_is_transferred_and_refuses_is_left_in_no_silence():
    async with town() as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both placed")
        world.bob.reinvite_with = [488]
        await mine.ask("REFER", **to(attended(also_mine)))
        for one in (mine, also_mine, bobs, sues):
            await one.over.wait()
        assert "cause=488" in sues.why
        await settled(world)


async def test_a_target_that_is_silent_is_hung_up_and_nobody_waits_for_it():
    async with town(limits=Limits(request_s_max=0.3)) as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both placed")
        world.sue.reinvite_with = ["nothing"] * 9
        await mine.ask("REFER", **to(attended(also_mine)))
        await also_mine.over.wait()
        await until(lambda: told(mine) and told(mine)[-1][1] == "terminated")
        assert told(mine)[-1][0].startswith("SIP/2.0 408")
        await sues.over.wait()
        assert not mine.over.is_set()
        assert not bobs.over.is_set()
        bobs.bye()
        await mine.over.wait()


@pytest.mark.parametrize("who", ["mine", "also mine", "bob", "sue"])
async def test_somebody_hangs_up_while_the_target_has_not_agreed(who):
    """Whoever is left over has somebody to talk to, or is hung up."""
    async with town() as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "one came in")
        world.sue.reinvite_with = ["nothing"]
        await mine.ask("REFER", **to(attended(also_mine)))
        await until(lambda: sues.reinvites)
        {"mine": mine, "also mine": also_mine, "bob": bobs, "sue": sues}[who].bye()
        match who:
            case "mine" | "also mine":  # the referrer has done its part: the transfer goes on without it
                sues.answer_late(200)
                await hear_one_another(bobs, sues)
                await mine.over.wait()
                await also_mine.over.wait()
                bobs.bye()
            case "bob":
                await mine.over.wait()
                sues.answer_late(487)
                await hear_one_another(also_mine, sues)
                assert (await also_mine.ask("INFO")).status == 200
                also_mine.bye()
            case "sue":
                sues.answer_late(487)
                await also_mine.over.wait()
                await until(lambda: told(mine) and told(mine)[-1][1] == "terminated")
                assert not bobs.over.is_set()
                mine.bye()
        await settled(world)


async def test_a_dialog_that_is_not_ours_is_named_to_the_target():
    async with town() as world:
        mine, _ = await talk(world, world.ann, world.bob)
        replaces = "far@away;to-tag=1;from-tag=2"
        await mine.ask("REFER", **to(f"sip:sue@sue.test?Replaces={quote(replaces, safe='')}&X-Evil=1"))
        sues = await world.sue.rings.receive()
        assert sues.invite.headers.get("Replaces") == replaces
        assert sues.invite.headers.get("Require") == "replaces"
        assert "X-Evil" not in sues.invite.headers
        await mine.over.wait()
        sues.bye()
        await settled(world)


async def test_a_refer_to_that_lacks_its_angle_brackets_is_understood():
    """As baresip writes it."""
    async with town() as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both placed")
        assert (await mine.ask("REFER", Refer_To=attended(also_mine))).status == 202
        await mine.over.wait()
        await hear_one_another(bobs, sues)
        sues.bye()
        await settled(world)
