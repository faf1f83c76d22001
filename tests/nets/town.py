"""Three phones that can be called by name, and what stories of who talks to whom afterwards have in common."""

from __future__ import annotations

from contextlib import asynccontextmanager
from urllib.parse import quote

import trio

from mediaha.model.site import Domain
from tests.nets.phone import phone_sdp
from tests.nets.world import open_world, until

CALLS = ["both placed", "one came in", "the other came in", "both came in"]
"""How Ann comes to talk with two others."""


class Partition:
    """Each phone is a domain of its own."""

    trunks = ()

    def __init__(self, *phones):
        self.domains = tuple(Domain(f"{phone.name}.test", ("a", "b"), (phone.endpoint.address,)) for phone in phones)

    def domain(self, name):
        return next((domain for domain in self.domains if domain.name == name), None)


@asynccontextmanager
async def town(**options):
    """Ann, Bob and Sue: each can be called by name."""
    async with open_world(**options) as world:
        ann, bob, sue = world.caller, world.callee, world.second
        world.routes.to = Partition(ann, bob, sue)
        world.ann, world.bob, world.sue = ann, bob, sue
        with trio.fail_after(20):
            yield world


async def talk(world, one, other):
    """A call between two phones; gives both ends of it."""
    mine = one.call(world.nets.address, host=f"{other.name}.test", user=other.name)
    theirs = await other.rings.receive()
    await mine.answered.wait()
    await theirs.acked.wait()
    return mine, theirs


async def ring(world, one, other):
    """A call that rings at another phone; gives both ends of it."""
    other.script = [180, None]
    mine = one.call(world.nets.address, host=f"{other.name}.test", user=other.name)
    theirs = await other.rings.receive()
    await mine.ringing.wait()
    return mine, theirs


@asynccontextmanager
async def change_under_way(world, mine, theirs):
    """Ann has put Bob on hold, and he says nothing to it."""
    world.bob.reinvite_with = ["nothing"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mine.ask, "INVITE", phone_sdp(4000, "sendonly", 2))
        await until(lambda: theirs.reinvites)
        yield


def to(uri, **headers):
    return {"Refer_To": f"<{uri}>", **headers}


def instead_of(call):
    """A Replaces that names the call as the one at the far end knows it."""
    dialog = call.dialog
    return f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"


async def two_calls(world, how):
    """Ann talks with Bob and with Sue, as one of ``CALLS`` says; each call is given by her end and the far one."""
    calls = []
    for far, came_in in ((world.bob, how in CALLS[1::2]), (world.sue, how in CALLS[2:])):
        one, other = (far, world.ann) if came_in else (world.ann, far)
        mine, theirs = await talk(world, one, other)
        calls.append((theirs, mine) if came_in else (mine, theirs))
    return calls


def attended(call):
    """Where to transfer somebody, so that it takes the referrer's place in this call."""
    return f"sip:sue@sue.test?Replaces={quote(instead_of(call), safe='')}"


async def hear_one_another(one, other, server=None):
    """Both are told the two ports of one and the same call (at this server)."""

    def together():
        if not (one.heard and other.heard):
            return False
        return one.port ^ 2 == other.port and (server is None or one.port // 10000 == "ab".index(server) + 1)

    await until(together)


async def newest(phone):
    """The call that has come last."""
    call = await phone.rings.receive()
    while True:
        try:
            call = phone.rings.receive_nowait()
        except trio.WouldBlock:
            return call


async def settled(world):
    """Nothing is left: no call, no transaction that waits for something, no media."""
    await world.empties()


def told(call):
    return [(body.strip(), (state or "").partition(";")[0]) for body, state in call.notified]
