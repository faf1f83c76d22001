"""Transfers with real messages: three phones, a NeTS, and whom each of them hears afterwards."""

from __future__ import annotations

import pytest
import trio

from mediaha.nets import Limits
from tests.nets.phone import phone_sdp
from tests.nets.town import (
    attended,
    change_under_way,
    hear_one_another,
    newest,
    settled,
    talk,
    to,
    told,
    town,
    two_calls,
)
from tests.nets.world import until


@pytest.mark.parametrize("by", ["caller", "callee"])
async def test_a_blind_transfer(by):
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        referrer, remaining = (mine, theirs) if by == "caller" else (theirs, mine)
        response = await referrer.ask("REFER", **to("sip:sue@sue.test"))
        assert response.status == 202
        sues = await world.sue.rings.receive()
        await referrer.over.wait()
        await sues.acked.wait()
        await hear_one_another(remaining, sues)
        assert told(referrer)[0] == ("SIP/2.0 100 Trying", "active")
        assert told(referrer)[-1] == ("SIP/2.0 200 OK", "terminated")
        assert not remaining.over.is_set()
        remaining.bye()
        await sues.over.wait()
        await settled(world)


async def test_a_busy_target_leaves_the_call_as_it_was():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        before = mine.port, theirs.port
        world.sue.script = [180, 486]
        assert (await mine.ask("REFER", **to("sip:sue@sue.test"))).status == 202
        await until(lambda: told(mine)[-1:] == [("SIP/2.0 486 Busy Here", "terminated")])
        assert (mine.port, theirs.port) == before
        assert not mine.over.is_set()
        assert mine.reinvites == theirs.reinvites == 0
        world.sue.script = [180, 200]
        assert (await mine.ask("REFER", **to("sip:sue@sue.test"))).status == 202
        await mine.over.wait()
        sues = await newest(world.sue)
        await hear_one_another(theirs, sues)
        sues.bye()
        await settled(world)


async def test_what_cannot_be_called_is_told_and_the_two_talk_on():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        assert (await mine.ask("REFER", **to("sip:sue@nowhere.test"))).status == 202
        await until(lambda: told(mine)[-1:] == [("SIP/2.0 404 Unknown Domain", "terminated")])
        assert (await theirs.ask("INFO")).status == 200
        mine.bye()
        await settled(world)


async def test_a_number_at_ourselves_is_one_of_the_calls_own_domain():
    """Phones write the place that they talk to."""
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        await mine.ask("REFER", **to(f"sip:other@{world.nets.address}"))
        bobs = await world.bob.rings.receive()
        assert bobs.invite.request_uri.user == "other"
        await mine.over.wait()
        await hear_one_another(theirs, bobs)
        bobs.bye()
        await settled(world)


async def test_the_referrer_hears_how_it_goes():
    async with town() as world:
        mine, _ = await talk(world, world.ann, world.bob)
        world.sue.script = [180, None]
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        await until(lambda: told(mine)[-1:] == [("SIP/2.0 180 Ringing", "active")])
        assert "<sip:ann@pbx.test>" not in sues.invite.headers.get("From"), "it is Bob who calls"
        world.sue.respond(sues, 200)
        await mine.over.wait()
        assert told(mine)[-1] == ("SIP/2.0 200 OK", "terminated")
        sues.bye()
        await settled(world)


@pytest.mark.parametrize("answer", [200, 603])
async def test_the_referrer_hangs_up_at_once(answer):
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        world.sue.script = [180, None]
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        mine.bye()
        await mine.over.wait()
        world.sue.respond(sues, answer)
        if answer == 200:
            await hear_one_another(theirs, sues)
            assert not theirs.over.is_set()
            theirs.bye()
        else:
            await theirs.over.wait()
            assert "cause=603" in theirs.why
        await settled(world)


async def test_the_one_who_is_transferred_hangs_up_meanwhile():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        world.sue.script = [180, None]
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        theirs.bye()
        await sues.over.wait()
        await mine.over.wait()
        assert told(mine)[-1] == ("SIP/2.0 487 Request Terminated", "terminated")
        await settled(world)


async def test_the_one_who_waits_for_the_target_hangs_up():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        world.sue.script = [180, None]
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        mine.bye()
        await mine.over.wait()
        theirs.bye()
        await sues.over.wait()
        await settled(world)


async def test_the_target_gets_an_offer_to_talk_though_the_other_was_on_hold():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        assert (await mine.ask("INVITE", phone_sdp(4000, "sendonly", 2))).status == 200
        theirs.phone.sdp = phone_sdp(6000, "recvonly", 2)
        assert (await mine.ask("INVITE", phone_sdp(4000, "sendonly", 3))).status == 200
        theirs.phone.sdp = phone_sdp(6000, version=3)
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        assert b"a=sendonly" not in sues.invite.body
        assert b"a=recvonly" not in sues.invite.body
        await hear_one_another(theirs, sues)
        assert b"a=sendrecv" in theirs.heard
        sues.bye()
        await settled(world)


async def test_what_a_refer_may_not_say():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        assert (await mine.ask("REFER")).status == 400
        assert (await mine.ask("REFER", **to("mailto:sue@sue.test"))).status == 416
        assert (await mine.ask("REFER", **to("sip:sue@sue.test;method=BYE"))).status == 603
        assert (await mine.ask("REFER", **to("sip:sue@sue.test?Replaces=nonsense"))).status == 400
        assert not mine.notified
        world.sue.script = [180, None]
        assert (await mine.ask("REFER", **to("sip:sue@sue.test"))).status == 202
        assert (await mine.ask("REFER", **to("sip:sue@sue.test"))).status == 491
        assert (await theirs.ask("REFER", **to("sip:sue@sue.test"))).status == 491
        theirs.bye()
        await settled(world)
        assert (await mine.ask("REFER", **to("sip:sue@sue.test"))).status == 481


async def test_a_referrer_that_does_not_want_to_be_told():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        response = await mine.ask("REFER", **to("sip:sue@sue.test", Refer_Sub="false"))
        assert response.status == 202
        assert response.headers.get("Refer-Sub") == "false"
        sues = await world.sue.rings.receive()
        await mine.over.wait()
        assert not mine.notified
        await hear_one_another(theirs, sues)
        sues.bye()
        await settled(world)


async def test_a_referrer_that_does_not_understand_what_it_is_told():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        world.ann.notify_with = 481
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        await mine.over.wait()
        assert len(mine.notified) == 1
        await hear_one_another(theirs, sues)
        sues.bye()
        await settled(world)


async def test_a_transfer_while_the_session_is_being_changed():
    """Ann puts Bob on hold and does not wait for what he says to it."""
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        async with change_under_way(world, mine, theirs):
            assert (await mine.ask("REFER", **to("sip:sue@sue.test"))).status == 202
            sues = await world.sue.rings.receive()
            await mine.over.wait()
            await hear_one_another(theirs, sues)
        sues.bye()
        await until(theirs.over.is_set)


async def test_those_who_transfer_in_a_circle_come_to_an_end():
    async with town(limits=Limits(transfers_max=2)) as world:
        _, theirs = await talk(world, world.ann, world.bob)
        call = theirs
        for target in (world.sue, world.ann):
            response = await call.ask("REFER", **to(f"sip:{target.name}@{target.name}.test"))
            assert response.status == 202
            call = await target.rings.receive()
            await call.acked.wait()
        assert (await call.ask("REFER", **to("sip:bob@bob.test"))).status == 482
        call.bye()
        await settled(world)


@pytest.mark.parametrize("when", ["before", "ringing", "bridging", "after"])
@pytest.mark.parametrize("kind", ["blind", "attended"])
async def test_the_media_server_dies_and_the_right_two_talk_on(kind, when):
    async with town() as world:
        uri = "sip:sue@sue.test"
        if kind == "blind":
            mine, bobs = await talk(world, world.ann, world.bob)
            world.sue.script = [180, None]
        else:
            (mine, bobs), (also_mine, sues) = await two_calls(world, "one came in")
            uri = attended(also_mine)
        if when == "before":
            world.pool.crash("a")
        elif when == "bridging":
            world.pool.hold = trio.Event()
        await mine.ask("REFER", **to(uri))
        if when == "bridging":
            world.pool.crash("a")
            world.pool.hold.set()
        if kind == "blind":
            sues = await world.sue.rings.receive()
            if when == "ringing":
                world.pool.crash("a")
            world.sue.respond(sues, 200)
        elif when == "ringing":
            world.pool.crash("a")
        await mine.over.wait()
        if when == "after":
            await hear_one_another(bobs, sues)
            world.pool.crash("a")
        await hear_one_another(bobs, sues, server="b")
        assert not bobs.over.is_set()
        bobs.bye()
        await sues.over.wait()
        await settled(world)


async def test_whom_the_referrer_has_left_hears_how_the_target_is_called():
    """Early media: an announcement, or the ringing of the target's network."""
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        world.sue.script = ["early", None]
        await mine.ask("REFER", **to("sip:sue@sue.test"))
        sues = await world.sue.rings.receive()
        await until(lambda: told(mine)[-1:] == [("SIP/2.0 183 Session Progress", "active")])
        assert theirs.reinvites == 0, "it still talks with Ann"
        mine.bye()
        await hear_one_another(theirs, sues)
        world.pool.crash("a")
        await theirs.until_port(lambda port: port >= 20000)
        world.sue.respond(sues, 200)
        await sues.acked.wait()
        await hear_one_another(theirs, sues, server="b")
        theirs.bye()
        await settled(world)


async def test_a_telephone_number_is_one_of_the_calls_own_domain():
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        await mine.ask("REFER", **to("tel:+4930123"))
        bobs = await world.bob.rings.receive()
        assert bobs.invite.request_uri.user == "+4930123"
        await mine.over.wait()
        await hear_one_another(theirs, bobs)
        bobs.bye()
        await settled(world)
