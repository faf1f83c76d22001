"""Each leg of a call has its own transport: who comes by one may be connected by another, and stays reachable."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
import trio.testing

from mediaha.model.address import Address
from mediaha.model.listener import TCP, TLS, UDP, Listener, Tls
from mediaha.nets.call import Idle
from mediaha.nets.destination import Destination, secured
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.target import Target
from tests.nets.phone import LOOPBACK, Phone
from tests.nets.world import open_world, until
from tests.sip.certificates import Authority, needs_openssl

HERE = Address(LOOPBACK, 0)
WAYS = [(UDP, TCP), (TCP, UDP), (TCP, TCP), (UDP, TLS), (TLS, UDP), (TLS, TCP)]


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The files of everybody here."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    issued = authority.issue(f"IP:{LOOPBACK}")
    return Tls(issued.certificate, issued.key, authorities=authority.certificate)


def listener(transport, tls):
    return Listener(HERE, transport, tls=tls if transport == TLS else None)


class StreamPhone(Phone):
    """A phone at the other end of a connection: its Contact says so."""

    def __init__(self, endpoint, name, port):
        super().__init__(endpoint, name, port)
        transport = endpoint.places[0].transport
        self.contact = f"<sip:{name}@{endpoint.address};transport={transport.lower()}>"


class OneDomain:
    """Routes: every call goes there."""

    trunks = ()

    def __init__(self, domain):
        self.domains = (domain,)

    def domain(self, name):
        return self.domains[0]


@asynccontextmanager
async def mixed(tls, caller_by, callee_by):
    """A NeTS with a listener of each kind, a caller and a callee that have one kind each."""
    async with (
        open_world(listeners=[listener(transport, tls) for transport in (UDP, TCP, TLS)]) as world,
        open_endpoint([listener(caller_by, tls)]) as one,
        open_endpoint([listener(callee_by, tls)]) as two,
        trio.open_nursery() as nursery,
    ):
        world.caller, world.callee = StreamPhone(one, "ann", 4000), StreamPhone(two, "bob", 6000)
        nursery.start_soon(world.caller.run)
        nursery.start_soon(world.callee.run)
        domain = replace(world.routes.domain("desk.test"), targets=(world.callee.contact[1:-1].replace("bob@", ""),))

        world.route(OneDomain(domain))
        place = next(place for place in world.nets._endpoint.places if place.transport == caller_by)
        world.front = Target(caller_by, place.sent_by, LOOPBACK if caller_by == TLS else "")
        yield world
        nursery.cancel_scope.cancel()


@needs_openssl
@pytest.mark.parametrize(("caller_by", "callee_by"), WAYS)
async def test_the_legs_of_a_call_have_their_own_transports(tls, caller_by, callee_by):
    async with mixed(tls, caller_by, callee_by) as world:
        mine, theirs = await world.connect()
        assert world.nets._endpoint.counters.unreachable == 0
        contact = theirs.invite.headers.get("Contact")
        assert f";transport={callee_by.lower()}" in contact if callee_by != UDP else ";transport" not in contact
        assert theirs.invite.via.transport == callee_by
        world.pool.crash("a")
        await mine.until_port(lambda port: port > 20000)
        await theirs.until_port(lambda port: port > 20000)
        mine.bye()
        await theirs.over.wait()
        await mine.over.wait()
        await world.empties()


@needs_openssl
async def test_a_call_to_a_sips_uri_goes_by_tls_alone_and_everybody_is_called_so(tls):
    async with mixed(tls, TLS, TLS) as world:
        for phone in (world.caller, world.callee):
            phone.contact = f"<sips:{phone.name}@{phone.endpoint.address}>"
        mine, theirs = await world.connect(scheme="sips")
        assert theirs.invite.uri == f"sips:desk@{world.callee.endpoint.address}"
        place = next(place for place in world.nets._endpoint.places if place.transport == TLS)
        for dialog in (mine.dialog, theirs.dialog):
            assert dialog.remote_target == f"sips:nets@{place.sent_by}"
        assert (await theirs.ask("INVITE", theirs.phone.sdp)).status == 200
        assert (await mine.ask("UPDATE")).status == 200
        world.pool.crash("a")
        await mine.until_port(lambda port: port > 20000)
        await theirs.until_port(lambda port: port > 20000)
        assert (await mine.ask("OPTIONS")).status == 200
        assert (await mine.ask("REFER", Refer_To="<sips:other@desk.test>")).status == 202
        third = await world.callee.rings.receive()
        assert third.invite.uri == f"sips:other@{world.callee.endpoint.address}"
        await mine.over.wait()
        third.bye()
        await theirs.over.wait()
        await world.empties()


@needs_openssl
@pytest.mark.parametrize(
    ("caller_by", "callee_by", "status", "warning"),
    [
        (TLS, UDP, 480, '380 mediaha "SIPS Not Allowed"'),
        (TLS, TCP, 480, "380"),
        (TCP, TLS, 416, ""),
        (UDP, TLS, 416, ""),
    ],
)
async def test_a_call_to_a_sips_uri_never_goes_in_the_clear(tls, caller_by, callee_by, status, warning):
    async with mixed(tls, caller_by, callee_by) as world:
        mine = world.caller.call(world.front, scheme="sips")
        await mine.refused.wait()
        assert mine.final.status == status
        assert (mine.final.headers.get("Warning") or "").startswith(warning)
        with pytest.raises(trio.WouldBlock):
            world.callee.rings.receive_nowait()


def test_of_phones_that_ring_together_only_those_with_a_sips_name_do():
    def phone(name, *, beside, scheme="sips", transport=TLS):
        target = Target(transport, Address("192.0.2.1", 5061))
        return Destination(target=target, uri=f"{scheme}:{name}@192.0.2.1", is_phone=True, beside=beside)

    asked = [
        phone("a", beside=False, scheme="sip"), phone("b", beside=True), phone("c", beside=True),
        phone("d", beside=False, transport=UDP), phone("e", beside=True), phone("f", beside=False),
    ]  # fmt: skip
    found = [(one.uri[5:6], one.beside) for one in secured(asked)]
    assert found == [("b", False), ("c", True), ("e", False), ("f", False)]


async def cut_all(world):
    """Every connection of the NeTS breaks while nothing is under way, as when a firewall is restarted."""
    await until(lambda: all(at_rest(call) for call in world.nets.calls()))
    await trio.testing.wait_all_tasks_blocked(0.02)
    for transport in world.nets._endpoint._transports.values():
        for peer in list(getattr(transport, "_peers", {}).values()):
            peer.connection.cut("the network is gone")
    await until(lambda: not world.nets._endpoint.counters.connections)


def at_rest(call):
    legs = (call.caller, call.callee)
    return not call.open and call.relay is None and all(isinstance(leg.exchange, Idle) for leg in legs)


@needs_openssl
@pytest.mark.parametrize(("caller_by", "callee_by"), [(TCP, TCP), (TLS, TLS), (TLS, TCP)])
async def test_a_call_goes_on_when_its_connections_are_cut(tls, caller_by, callee_by):
    """Media moves, hold and BYE find the parties again: at their Contacts, or where they have come back from."""
    async with mixed(tls, caller_by, callee_by) as world:
        mine, theirs = await world.connect()
        await cut_all(world)
        world.pool.crash("a")
        await mine.until_port(lambda port: port > 20000)
        await theirs.until_port(lambda port: port > 20000)
        await cut_all(world)
        held = await mine.ask("INVITE", mine.phone.sdp.replace(b"sendrecv", b"sendonly"))
        assert held.status == 200
        await until(lambda: b"a=sendonly" in theirs.heard)
        await cut_all(world)
        theirs.bye()
        await mine.over.wait()
        await theirs.over.wait()
        await world.empties()


@needs_openssl
async def test_a_phone_that_forgets_its_transport_is_asked_by_the_one_it_came_by(tls):
    """Contact says no transport, which means UDP: nobody is there, but at the same port over TCP."""
    async with mixed(tls, TCP, UDP) as world:
        world.caller.contact = world.caller.contact.replace(";transport=tcp", "")
        mine, theirs = await world.connect()
        await cut_all(world)
        theirs.bye()
        await mine.over.wait()
        await world.empties()


@needs_openssl
async def test_explain_says_why_a_target_is_not_trusted(tls, tmp_path):
    """Its certificate is of somebody whom we do not know: the call goes nowhere, and support can see why."""
    stranger = Authority(tmp_path).issue(f"IP:{LOOPBACK}")
    unknown = Tls(stranger.certificate, stranger.key)
    async with mixed(tls, UDP, TLS) as world, open_endpoint([listener(TLS, unknown)]) as other:
        domain = replace(world.routes.domain("desk.test"), targets=(f"sip:{other.address};transport=tls",))
        world.route(OneDomain(domain))
        mine = world.caller.call(world.front)
        await mine.refused.wait()
        assert mine.final.status == 503
        (event,) = [one for one in world.nets.explain(mine.invite.call_id)["events"] if one["what"] == "unreachable"]
        assert event["why"].startswith("its certificate is not trusted: ")
        assert event["target"] == f"{other.address}/tls"
