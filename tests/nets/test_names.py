"""Domains whose targets are names: found in the DNS, passed over when gone, kept while the DNS is silent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from mediaha.model.address import Address
from mediaha.model.listener import TCP, UDP, Listener
from mediaha.model.sip import SipSettings
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.message import Response
from mediaha.sip.target import Target
from tests.nets.phone import LOOPBACK, Phone
from tests.nets.test_listeners import OneDomain
from tests.nets.world import open_world, until
from tests.sip.nameserver import NameServer
from tests.sip.parties import request

HERE = Address(LOOPBACK, 0)


@pytest.fixture
async def dns(nursery):
    server = NameServer("")
    await nursery.start(server.run)
    return server


def serves(dns, *ports, transport="_udp"):
    """The domain example.test is served at these ports of loopback, in this order."""
    records = [f"_sip.{transport} SRV {order} 0 {port} here" for order, port in enumerate(ports)]
    dns.renew("\n".join([*records, f"here A {LOOPBACK}", ""]))


def lead_to(world, *targets):
    world.route(OneDomain(replace(world.routes.domain("desk.test"), targets=targets)))


async def found(world, *, count=1):
    """Wait until the names have been looked up."""
    domain = world.routes.domain("desk.test")
    await until(lambda: len(world.nets._trunks.destinations(domain)) == count)


async def test_a_call_goes_to_the_servers_of_a_domain_in_their_order_and_past_one_that_is_gone(dns):
    async with open_world(name_servers=[dns.address]) as world:
        async with open_endpoint(HERE) as gone:
            nowhere = gone.address.port
        serves(dns, nowhere, world.callee.endpoint.address.port)
        lead_to(world, "sip:example.test")
        await found(world, count=2)
        mine, _ = await world.connect()
        story = world.nets.explain(mine.invite.call_id)
        assert [one["why"] for one in story["events"] if one["what"] == "passed over"] == ["unreachable"]
        mine.bye()
        await world.empties()


async def test_calls_go_on_while_the_dns_is_down_and_after_a_reload_meanwhile(dns):
    async with open_world(name_servers=[dns.address]) as world:
        serves(dns, world.callee.endpoint.address.port)
        lead_to(world, "sip:example.test")
        await found(world)
        dns.silent = True
        lead_to(world, "sip:example.test")
        mine, _ = await world.connect()
        mine.bye()
        await world.empties()


async def test_a_name_that_nobody_knows_is_a_503_and_status_says_why(dns):
    async with open_world(name_servers=[dns.address]) as world:
        lead_to(world, "sip:nobody.example.test")
        await until(lambda: [view.why for view in world.nets.targets()] == ["nobody.example.test has no address"])
        mine = world.caller.call(world.front)
        await mine.refused.wait()
        assert mine.final.status == 503
        serves(dns, world.callee.endpoint.address.port)


async def test_one_that_answers_503_is_passed_over_for_the_next_address_of_the_name(dns):
    async with open_world(name_servers=[dns.address]) as world:
        serves(dns, world.second.endpoint.address.port, world.callee.endpoint.address.port)
        world.second.script = [503]
        lead_to(world, "sip:example.test")
        await found(world, count=2)
        mine, _ = await world.connect()
        mine.bye()
        await world.empties()


async def test_an_invite_that_is_too_large_for_a_datagram_goes_by_tcp_and_by_udp_where_nobody_takes_that():
    """RFC 3261 section 18.1.1, and its way back: the call stands either way."""
    both = [Listener(HERE, UDP), Listener(HERE, TCP)]
    async with open_world(listeners=both) as world, open_endpoint(HERE) as udp, trio.open_nursery() as nursery:
        large = [("Subject", "x" * 1500)]
        mine, theirs = await world.connect(headers=large)
        assert theirs.invite.via.transport == UDP, "this one has no TCP"
        mine.bye()
        await world.empties()
        async with open_endpoint([Listener(udp.address, TCP)]) as tcp:
            world.callee = Phone(tcp, "bob", 6000)
            world.callee.contact = f"<sip:bob@{tcp.address};transport=tcp>"
            nursery.start_soon(world.callee.run)
            lead_to(world, udp.address)
            mine, theirs = await world.connect(headers=large)
            assert theirs.invite.via.transport == TCP
            mine.bye()
            await theirs.over.wait()
            await world.empties()
            nursery.cancel_scope.cancel()


async def test_a_flood_from_one_source_is_dropped_and_others_are_served():
    """The source is no target and not this machine's usual address; what it may send is sent, the rest is silence."""
    sip = SipSettings(messages_per_s=1, messages_burst=5)
    known = ("127.0.0.1",)
    async with open_world(sip=sip, callers=known) as world, open_endpoint(Address("127.0.0.2", 0)) as stranger:
        statuses = []
        for _ in range(20):
            stranger.send(request("OPTIONS", stranger), Target(UDP, world.front), statuses.append)
        await until(lambda: world.nets._endpoint.counters.turned_away >= 14)
        await until(lambda: statuses)
        assert len([one for one in statuses if isinstance(one, Response)]) <= 8
        mine, _ = await world.connect()
        mine.bye()
        await world.empties()
