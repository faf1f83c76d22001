"""A NeTS on loopback between test phones that speak real SIP, with a pool that rewrites SDP and can move calls."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager

import trio

from mediaha.model.address import Address
from mediaha.model.listener import Listener
from mediaha.model.site import Domain, NetsSpec
from mediaha.nets import Limits, serve_nets
from mediaha.sip.endpoint import open_endpoint
from tests.nets.network import BadNetwork
from tests.nets.phone import LOOPBACK, Phone
from tests.nets.pool import FakePool


class World:
    """A NeTS, its media servers, and who talks through it."""

    def __init__(self, nets, pool, caller, callee, second):
        self.nets, self.pool = nets, pool
        self.front = nets.address
        """Where the caller sends its INVITEs."""
        self.caller, self.callee, self.second = caller, callee, second

    async def connect(self, **options):
        """A call that is up: the caller's side and the callee's."""
        mine = self.caller.call(self.front, **options)
        theirs = await self.callee.rings.receive()
        await mine.answered.wait()
        await theirs.acked.wait()
        await until(lambda: self.nets.explain(mine.invite.call_id)["state"] == "answered")
        await until(lambda: not self.nets._carrier.tables.sizes()["invites"])
        return mine, theirs

    def route(self, routes):
        """From now on calls go where these routes say."""
        self.routes.to = routes

    def spoil(self, seed, loss):
        """From now on messages of both phones are lost, repeated and delayed. Gives the network of each."""
        chance = random.Random(seed)
        phones = (self.caller, self.callee)
        return [BadNetwork(phone.endpoint, self.nursery, chance, loss) for phone in phones]

    async def empties(self):
        """Until nothing is left of any call: a leak makes the test time out."""
        await until(lambda: not any(self.nets._carrier.tables.sizes().values()))
        assert not self.pool.calls, "media is left"


async def until(condition, *, within=10.0):
    """Wait for the thing, looking often."""
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110 - what is waited for is in the code under test
            await trio.sleep(0.002)


@asynccontextmanager
async def open_world(
    *,
    limits=None,
    timers=None,
    servers=("a", "b"),
    targets=1,
    checkpoint=None,
    pool=None,
    listeners=(),
    callers=None,
    phones=None,
    **more,
):
    """Three phones of whom ``targets`` are called for desk.test, and a NeTS that is told what else there is."""
    pool = pool or FakePool(*servers)
    async with (
        open_endpoint(Address(LOOPBACK, 0), timers=timers) as one,
        open_endpoint(Address(LOOPBACK, 0), timers=timers) as two,
        open_endpoint(Address(LOOPBACK, 0), timers=timers) as three,
        trio.open_nursery() as nursery,
    ):
        caller, callee, second = Phone(one, "ann", 4000), Phone(two, "bob", 6000), Phone(three, "sue", 7000)
        for phone in (caller, callee, second):
            nursery.start_soon(phone.run)
        domain = Domain("desk.test", servers, (two.address, three.address)[:targets])

        class Routes:
            """What `World.route` says, or else a domain with the phones as its targets."""

            to = None

            @property
            def trunks(self):
                return self.to.trunks if self.to else ()

            @property
            def domains(self):
                return getattr(self.to, "domains", ()) if self.to else own

            def domain(self, name):
                if self.to:
                    return self.to.domain(name)
                return domain if name == "desk.test" else None

        own = (domain,)
        routes = Routes()

        spec = NetsSpec("nets-1", "here", listeners or (Listener(Address(LOOPBACK, 0)),), callers)

        async def run(task_status=trio.TASK_STATUS_IGNORED):
            await serve_nets(
                spec, routes, pool, limits=limits or Limits(), timers=timers, checkpoint=checkpoint,
                phones=phones, task_status=task_status, **more,
            )  # fmt: skip

        nets = await nursery.start(run)
        world = World(nets, pool, caller, callee, second)
        world.nursery = nursery
        world.routes = routes
        yield world
        nursery.cancel_scope.cancel()
