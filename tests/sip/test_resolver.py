"""The resolver against a DNS server on loopback that can fall silent."""

import pytest
import trio

from mediaha.model.address import Address
from mediaha.model.listener import Listener
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.resolve import resolver as resolving
from mediaha.sip.resolve.locate import NotLocated
from mediaha.sip.resolve.records import A
from mediaha.sip.resolve.resolver import Resolver
from mediaha.sip.target import TCP
from mediaha.sip.transaction.events import Unreachable
from mediaha.sip.uri import uri_untrusted

from .nameserver import NameServer
from .parties import LOOPBACK, Ear, request, serve

ZONE = """
@           NAPTR 20 0 "s" "SIP+D2U" "" _sip._udp
@           NAPTR 10 0 "s" "SIP+D2T" "" _sip._tcp
_sip._udp   SRV   1 0 5060 one
_sip._tcp   SRV   2 0 5070 two
_sip._tcp   SRV   1 0 5070 one
_sip._tcp.short 1 SRV 1 0 5060 one
one         A     192.0.2.1
one         AAAA  2001:db8::1
two         CNAME other
other       A     192.0.2.2
_sip._udp.gone    SRV 0 0 0 .
"""
URI = uri_untrusted("sip:desk@example.test")


@pytest.fixture
async def server(nursery):
    server = NameServer(ZONE)
    await nursery.start(server.run)
    return server


def texts(targets) -> list[str]:
    return [str(target) for target in targets]


async def test_a_domain_is_found_by_naptr_srv_and_addresses(server):
    assert texts(await Resolver([server.address]).targets(URI)) == [
        "192.0.2.1:5070/tcp", "[2001:db8::1]:5070/tcp", "192.0.2.2:5070/tcp",
        "192.0.2.1:5060/udp", "[2001:db8::1]:5060/udp",
    ]  # fmt: skip


async def test_the_second_call_asks_nobody(server):
    resolver = Resolver([server.address])
    await resolver.targets(URI)
    asked = server.asked.total()
    assert len(await resolver.targets(URI)) == 5
    assert server.asked.total() == asked


async def test_a_hundred_calls_at_once_ask_once(server, monkeypatch):
    monkeypatch.setattr(resolving, "TRY_S_MAX", 60)  # a question that got no answer in time would be asked again
    resolver = Resolver([server.address], answer_s_max=60)
    async with trio.open_nursery() as calls:
        for _ in range(100):
            calls.start_soon(resolver.targets, URI)
    assert set(server.asked.values()) == {1}


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(server):
    resolver = Resolver([server.address])
    got: list = []

    async def call() -> None:
        got.append(await resolver.targets(URI))

    async with trio.open_nursery() as calls:
        with trio.CancelScope() as first:
            async with trio.open_nursery() as impatient:
                impatient.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                calls.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                first.cancel()
    assert len(got[-1]) == 5


def let_expire(resolver: Resolver) -> None:
    """As if a minute had passed."""
    for entry in resolver._cache._entries.values():
        entry.fresh_until -= 61.0


async def test_while_the_dns_is_silent_old_answers_carry_calls(server):
    resolver = Resolver([server.address])
    before = await resolver.targets(URI)
    server.silent = True
    let_expire(resolver)
    with trio.fail_after(3):
        assert await resolver.targets(URI) == before
    assert resolver.unanswered == 1  # the call waits for one question, not for all that it has
    asked = server.asked.total()
    assert await resolver.targets(URI) == before  # and the next for none
    assert server.asked.total() == asked


async def test_when_the_dns_is_back_what_it_says_counts(server):
    resolver = Resolver([server.address])
    await resolver.targets(URI)
    server.silent = True
    let_expire(resolver)
    await resolver.targets(URI)
    server.silent = False
    server.renew(ZONE.replace("192.0.2.1", "192.0.2.99"))
    for entry in resolver._cache._entries.values():
        entry.in_vain_until = 0.0
    resolver._silent_until = 0.0  # half a minute later
    assert texts(await resolver.targets(URI))[0] == "192.0.2.99:5070/tcp"


@pytest.mark.parametrize("fault", ["silent", "broken"])
async def test_without_any_answer_it_is_said_that_this_may_pass(server, fault):
    setattr(server, fault, True)
    resolver = Resolver([server.address], answer_s_max=0.2)
    with pytest.raises(NotLocated) as caught:
        await resolver.targets(URI)
    assert caught.value.temporary


async def test_a_dead_name_server_does_not_matter_when_there_is_another(server):
    dead = NameServer("")
    async with trio.open_nursery() as nursery:
        await nursery.start(dead.run)
        dead.silent = True
        resolver = Resolver([dead.address, server.address])
        assert len(await resolver.targets(URI)) == 5
        assert dead.asked.total() == 1  # the one that answered is asked first from then on
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "uri",
    ["sip:nowhere.test.example.test", "sip:gone.example.test;transport=udp", f"sip:{'a' * 70}.test", "sip:a..b"],
)
async def test_what_is_not_there_is_not_there_for_good(server, uri):
    with pytest.raises(NotLocated) as caught:
        await Resolver([server.address]).targets(uri_untrusted(uri))
    assert not caught.value.temporary


async def test_localhost_is_here():
    resolver = Resolver([Address("127.0.0.1", 9)])
    assert texts(await resolver.targets(uri_untrusted("sip:localhost:5070"), transports=["UDP"])) == [
        "127.0.0.1:5070/udp", "[::1]:5070/udp",
    ]  # fmt: skip


async def test_a_request_goes_to_the_next_target_when_one_fails(server):
    """Section 4.3: a closed port, then a 503, then somebody who takes it."""
    async with (
        open_endpoint([Listener(LOOPBACK, TCP), Listener(LOOPBACK)]) as us,
        open_endpoint(LOOPBACK) as full,
        open_endpoint(LOOPBACK) as free,
        trio.open_nursery() as nursery,
    ):
        async with open_endpoint([Listener(LOOPBACK, TCP)]) as gone:
            closed = gone.address.port
        server.renew(
            f'@ NAPTR 1 0 s SIP+D2T "" _sip._tcp\n@ NAPTR 2 0 s SIP+D2U "" _sip._udp\n'
            f"_sip._tcp SRV 1 0 {closed} here\n_sip._udp SRV 1 0 {full.address.port} here\n"
            f"_sip._udp SRV 2 0 {free.address.port} here\nhere A 127.0.0.1\n"
        )
        nursery.start_soon(serve, free, [])
        nursery.start_soon(refuse_all, full)
        ear = Ear()
        outcomes: list = []
        for target in await Resolver([server.address]).targets(URI, kinds=[A]):
            us.send(request("OPTIONS", us), target, ear)
            outcomes.append(await ear.next())
            if getattr(outcomes[-1], "status", 503) != 503:  # what has failed so is tried at the next (RFC 3263 §4.3)
                break
        assert [getattr(outcome, "status", outcome) for outcome in outcomes] == [
            Unreachable("Connection refused"), 503, 200,
        ]  # fmt: skip
        nursery.cancel_scope.cancel()


async def refuse_all(endpoint) -> None:
    async for event in endpoint.requests:
        endpoint.respond(event.transaction, event.request.response(503, to_tag="full"))
