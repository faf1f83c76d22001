"""Calls that come back: a loop ends at once, wherever it goes; a call that is sent on to somebody else goes on."""

from __future__ import annotations

import trio

from mediaha.model.site import Domain
from mediaha.sip.message import Headers, Request
from tests.nets.world import open_world


class Everything:
    """All calls go to one place."""

    trunks = ()

    def __init__(self, address):
        self.domains = (Domain("*", ("a", "b"), (address,)),)

    def domain(self, name):
        return self.domains[0]


async def test_two_that_point_at_each_other_end_it_at_once():
    async with open_world() as one, open_world() as two:
        one.route(Everything(two.nets.address))
        two.route(Everything(one.nets.address))
        with trio.fail_after(10):
            mine = one.caller.call(one.nets.address)
            await mine.refused.wait()
            assert mine.final.status == 482
            await one.empties()
            await two.empties()
        for world in (one, two):
            assert len([what for what, _ in world.pool.asked if what == "offer"]) == 1, "media once, not seventy times"


async def test_a_callers_own_session_id_is_kept_and_serves_as_well():
    async with open_world() as one, open_world() as two:
        one.route(Everything(two.nets.address))
        two.route(Everything(two.callee.endpoint.address))
        session = "0123456789abcdef0123456789abcdef;remote=00000000000000000000000000000000"
        mine = one.caller.call(one.nets.address, headers=(("Session-ID", session),))
        theirs = await two.callee.rings.receive()
        assert theirs.invite.headers.get("Session-ID") == session
        await theirs.acked.wait()
        mine.bye()
        await one.empties()


async def test_a_call_that_is_sent_on_to_another_number_is_no_loop():
    """The callee's own machine sends it back to us, for somebody else (RFC 3261 section 16.3: a spiral)."""
    async with open_world() as world:
        world.callee.script = [None]
        world.caller.call(world.nets.address)
        first = await world.callee.rings.receive()
        world.callee.script = [180, None]
        again = sent_on(world, first.invite, "sip:other@desk.test")
        second = await world.callee.rings.receive()
        assert second.invite.request_uri.user == "other"
        world.callee.respond(second, 486)
        assert await again() == 486
        same = sent_on(world, first.invite, "sip:desk@desk.test")
        assert await same() == 482
        world.callee.respond(first, 486)
        await world.empties()


def sent_on(world, invite, uri):
    """A B2BUA's own INVITE, with what it has not thought of changing; gives a wait for the final status."""
    tag = f"tag{len(uri)}"
    changes = {"From": f"<sip:pbx@pbx.test>;tag={tag}", "Call-ID": f"sent-on-{uri}", "Contact": world.callee.contact}
    headers = invite.headers.without("Via", "Record-Route")
    for name, value in changes.items():
        headers = headers.with_replaced(name, value)
    request = Request("INVITE", uri, Headers(headers), invite.body)
    outcomes, heard = trio.open_memory_channel(100)
    world.callee.endpoint.send(request, world.front, outcomes.send_nowait)

    async def status():
        async for outcome in heard:
            if outcome.status >= 200:
                return outcome.status
        raise AssertionError

    return status
