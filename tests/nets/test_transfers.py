"""Transfers with real messages: three phones, a NeTS, and whom each of them hears afterwards."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import trio

from mediaha.nets import Limits
from tests.nets.town import hear_one_another, instead_of, newest, settled, talk, to, told, town
from tests.nets.world import phone_sdp, until


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


CALLS = ["both placed", "one came in", "the other came in", "both came in"]


@pytest.mark.parametrize("how", CALLS)
async def test_an_attended_transfer(how):
    async with town() as world:
        first, second = await two_calls(world, how)
        (mine, bobs), (also_mine, sues) = first, second
        uri = f"sip:sue@sue.test?Replaces={quote(instead_of(also_mine), safe='')}"
        assert (await mine.ask("REFER", **to(uri))).status == 202
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


def attended(call):
    """Where to transfer somebody, so that it takes the referrer's place in this call."""
    return f"sip:sue@sue.test?Replaces={quote(instead_of(call), safe='')}"


async def two_calls(world, how):
    """Ann talks with Bob and with Sue; each call is given by her end and the far one."""
    calls = []
    for far, came_in in ((world.bob, how in CALLS[1::2]), (world.sue, how in CALLS[2:])):
        one, other = (far, world.ann) if came_in else (world.ann, far)
        mine, theirs = await talk(world, one, other)
        calls.append((theirs, mine) if came_in else (mine, theirs))
    return calls


async def test_whom_the_referrer_still_calls_is_called_anew():
    """Ann does not wait for Sue to answer; her own call to her is over, Bob's takes its place."""
    async with town() as world:
        mine, bobs = await talk(world, world.ann, world.bob)
        world.sue.script = [180, None]
        also_mine = world.ann.call(world.nets.address, host="sue.test", user="sue")
        first = await world.sue.rings.receive()
        await also_mine.ringing.wait()
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
        uri = f"sip:sue@sue.test?Replaces={quote(instead_of(also_mine), safe='')}"
        await mine.ask("REFER", **to(uri))
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
        world.bob.reinvite_with = ["nothing"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mine.ask, "INVITE", phone_sdp(4000, "sendonly", 2))
            await until(lambda: theirs.reinvites)
            headers = (("Replaces", instead_of(mine)),)
            sues = world.sue.call(world.nets.address, host="sue.test", headers=headers, offer=False)
            await sues.refused.wait()
            assert sues.final.status == 500
            assert sues.final.headers.get("Retry-After")
            assert not theirs.over.is_set()
            theirs.bye()
            await mine.over.wait()


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
        world.bob.reinvite_with = ["nothing"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mine.ask, "INVITE", phone_sdp(4000, "sendonly", 2))
            await until(lambda: theirs.reinvites)
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
            uri += f"?Replaces={quote(instead_of(also_mine), safe='')}"
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


async def test_a_refer_to_that_lacks_its_angle_brackets_is_understood():
    """As baresip writes it."""
    async with town() as world:
        (mine, bobs), (also_mine, sues) = await two_calls(world, "both placed")
        uri = f"sip:sue@sue.test?Replaces={quote(instead_of(also_mine), safe='')}"
        assert (await mine.ask("REFER", Refer_To=uri)).status == 202
        await mine.over.wait()
        await hear_one_another(bobs, sues)
        sues.bye()
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
