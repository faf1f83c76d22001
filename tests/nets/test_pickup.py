"""A call that rings is picked up by an INVITE whose Replaces names the early dialog (RFC 3891)."""

from __future__ import annotations

from tests.nets.phone import phone_sdp
from tests.nets.town import hear_one_another, instead_of, ring, settled, talk, town


def early_instead_of(call):
    """A Replaces that names the early dialog of a phone that rings, as whoever has begun it knows it."""
    return f"{instead_of(call)};early-only"


async def test_somebody_picks_up_a_call_that_rings_elsewhere():
    async with town() as world:
        mine, bobs = await ring(world, world.ann, world.bob)
        sues = world.sue.call(world.nets.address, host="x.test", headers=(("Replaces", early_instead_of(bobs)),))
        await sues.answered.wait()
        await mine.answered.wait()
        await bobs.over.wait()
        await hear_one_another(mine, sues)
        assert len(world.nets.calls()) == 1
        assert (await sues.ask("INVITE", world.sue.sdp.replace(b"sendrecv", b"sendonly"))).status == 200
        assert (await sues.ask("INFO")).status == 200
        world.pool.crash("a")
        await hear_one_another(mine, sues, "b")
        mine.bye()
        await sues.over.wait()
        await settled(world)


async def test_who_picks_up_and_shares_no_codec_leaves_it_ringing():
    async with town() as world:
        mine, bobs = await ring(world, world.ann, world.bob)
        replaces = (("Replaces", early_instead_of(bobs)),)
        for body, offer in ((b"RTP/AVP 18", True), (b"RTP/AVP 96", True), (b"RTP/AVP 0", False)):
            world.sue.sdp = phone_sdp(8000).replace(b"RTP/AVP 0", body)
            sues = world.sue.call(world.nets.address, host="x.test", headers=replaces, offer=offer)
            await sues.refused.wait()
            assert sues.final.status == 488
        world.bob.respond(bobs, 200)
        await mine.answered.wait()
        await hear_one_another(mine, bobs)
        mine.bye()
        await settled(world)


async def test_who_picks_up_too_late_is_told_so():
    """The phone that rang has answered a moment before."""
    async with town() as world:
        mine, theirs = await talk(world, world.ann, world.bob)
        sues = world.sue.call(world.nets.address, host="x.test", headers=(("Replaces", early_instead_of(theirs)),))
        await sues.refused.wait()
        assert sues.final.status == 486
        mine.bye()
        await theirs.over.wait()
        await settled(world)


async def test_the_callers_own_early_dialog_is_not_ours_to_replace():
    async with town() as world:
        mine, bobs = await ring(world, world.ann, world.bob)
        sues = world.sue.call(world.nets.address, host="x.test", headers=(("Replaces", early_instead_of(mine)),))
        await sues.refused.wait()
        assert sues.final.status == 481
        world.bob.respond(bobs, 486)
        await mine.refused.wait()
        await settled(world)
