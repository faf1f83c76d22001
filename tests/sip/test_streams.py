"""SIP over TCP and TLS on real sockets: calls, connections used again, and peers who mean no good."""

import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
import trio.testing

from mediaha.model.address import Address
from mediaha.model.listener import Listener, Tls
from mediaha.sip.dialog import Dialog
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.rate import RateLimit, RateLimits
from mediaha.sip.target import TCP, TLS, UDP, Target
from mediaha.sip.transaction.events import Acknowledged, Incoming, Unreachable
from mediaha.sip.transport.patience import STREAM_LIMITS
from mediaha.sip.transport.tls import CertificateError, Identity

from .certificates import Authority, needs_openssl
from .parties import LOOPBACK, Ear, request, serve

TCP_HERE = [Listener(LOOPBACK, TCP)]


@asynccontextmanager
async def two(mine=TCP_HERE, theirs=TCP_HERE, **limits):
    """Alice, and Bob who answers everything, with what Bob has heard."""
    events: list = []
    bounds = replace(STREAM_LIMITS, **limits)
    async with (
        open_endpoint(mine) as alice,
        open_endpoint(theirs, stream_limits=bounds) as bob,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(serve, bob, events)
        with trio.fail_after(30):
            yield alice, bob, events
        nursery.cancel_scope.cancel()


def place(endpoint, transport: str) -> Address:
    return next(place.sent_by for place in endpoint.places if place.transport == transport)


def stream(endpoint):
    """The endpoint's first stream transport, to look at its tables."""
    return next(found for found in endpoint._transports.values() if hasattr(found, "connections"))


async def settled(condition) -> None:
    while not condition():
        await trio.lowlevel.checkpoint()


async def test_a_call_is_made_acknowledged_and_ended_over_one_connection():
    async with two() as (alice, bob, events):
        target = Target(TCP, bob.address)
        ear = Ear()
        invite = request("INVITE", alice)
        key = alice.send(invite, target, ear)
        dialog = Dialog.from_response(invite, await ear.next())
        alice.send_ack(dialog.ack(1), target, key)
        dialog, bye = dialog.request("BYE")
        alice.send(bye, target, ear)
        assert (await ear.next()).via.text.startswith(f"SIP/2.0/TCP {alice.address};branch=")
        assert [type(event) for event in events] == [Incoming, Acknowledged, Incoming]
        assert stream(bob).connections == 1
        assert bob.open_transactions == (0, 1)  # the INVITE's waits for stray repetitions (RFC 6026)


async def test_requests_to_one_who_has_connected_take_his_connection():
    """A phone behind a NAT cannot be connected to."""
    async with two() as (alice, bob, events):
        alice.send(request("REGISTER", alice), Target(TCP, bob.address), ear := Ear())
        await ear.next()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, alice, [])
            bob.send(request("OPTIONS", bob), events[0].flow, ear)
            assert (await ear.next()).status == 200
            bob.send(request("OPTIONS", bob), Target(TCP, events[0].source), ear)
            assert (await ear.next()).status == 200
            nursery.cancel_scope.cancel()
        assert stream(alice).connections == stream(bob).connections == 1


async def test_a_flow_whose_connection_is_gone_is_unreachable_at_once():
    async with two() as (alice, bob, events):
        async with opened(bob) as peer:
            await peer.send_all(request("REGISTER", alice).with_headers(request("REGISTER", alice).headers.with_first(
                "Via", "SIP/2.0/TCP 127.0.0.1:9;rport;branch=z9hG4bKraw")).to_bytes())  # fmt: skip
            await settled(lambda: events)
        await settled(lambda: stream(bob).connections == 0)
        bob.send(request("OPTIONS", bob), events[0].flow, ear := Ear())
        assert await ear.next() == Unreachable("the connection is closed")


async def test_a_closed_port_is_known_at_once():
    with socket.socket() as closed:
        closed.bind(LOOPBACK)
        async with open_endpoint(TCP_HERE) as alice:
            alice.send(request("OPTIONS", alice), Target(TCP, Address(*closed.getsockname())), ear := Ear())
            assert await ear.next() == Unreachable("Connection refused")
            assert alice.open_transactions == (0, 0)
            assert stream(alice).connections == 0


async def test_many_requests_before_the_connection_is_there_all_arrive_in_order():
    async with two() as (alice, bob, events):
        ear = Ear()
        for _ in range(500):
            alice.send(request("OPTIONS", alice), Target(TCP, bob.address), ear)
        assert [(await ear.next()).status for _ in range(500)] == [200] * 500
        numbers = [int(event.request.call_id.removeprefix("call-")) for event in events]
        assert numbers == sorted(numbers)
        assert stream(alice).connections == 1


async def test_a_large_request_takes_tcp_when_its_target_has_it_and_udp_when_not():
    here = [Listener(LOOPBACK), Listener(LOOPBACK, TCP)]
    async with open_endpoint(here) as alice, open_endpoint(LOOPBACK) as bob:
        same_port = [Listener(bob.address, TCP)]
        large = request("MESSAGE", alice).with_body(b"x" * 2000, "text/plain")
        async with trio.open_nursery() as nursery:
            over_udp: list = []
            nursery.start_soon(serve, bob, over_udp)
            alice.send(large, bob.address, ear := Ear())
            with trio.fail_after(10):
                assert (await ear.next()).status == 200
            assert over_udp[0].flow.transport == UDP
            nursery.cancel_scope.cancel()
        alice._layer._clients._narrow.clear()  # five minutes later
        async with open_endpoint(same_port) as carol, trio.open_nursery() as nursery:
            over_tcp: list = []
            nursery.start_soon(serve, carol, over_tcp)
            large = request("MESSAGE", alice).with_body(b"x" * 2000, "text/plain")
            alice.send(large, bob.address, ear)
            with trio.fail_after(10):
                assert (await ear.next()).status == 200
            assert over_tcp[0].flow.transport == TCP
            nursery.cancel_scope.cancel()


async def test_ipv6_and_ipv4_udp_and_tcp_in_one_endpoint():
    everywhere = [Listener(Address(host, 0), transport) for host in ("127.0.0.1", "::1") for transport in (UDP, TCP)]
    async with two(everywhere, everywhere) as (alice, bob, events):
        ear = Ear()
        for its in bob.places:
            alice.send(request("OPTIONS", alice), Target(its.transport, its.sent_by), ear)
            assert (await ear.next()).status == 200
        assert [(event.flow.transport, event.source.host) for event in events] == [
            (UDP, "127.0.0.1"), (TCP, "127.0.0.1"), (UDP, "::1"), (TCP, "::1"),
        ]  # fmt: skip
        assert events[3].request.via.text.startswith("SIP/2.0/TCP [::1]:")


# Peers who mean no good


@asynccontextmanager
async def opened(endpoint, transport: str = TCP):
    async with await trio.open_tcp_stream(*place(endpoint, transport)) as peer:
        yield peer


async def ended(peer: trio.SocketStream) -> bytes:
    """What the peer reads until it is cut off."""
    got = bytearray()
    try:
        async for data in peer:
            got += data
    except trio.BrokenResourceError:
        pass
    return bytes(got)


def raw(length: str = "Content-Length: 0", branch: str = "raw") -> bytes:
    return (
        f"OPTIONS sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK{branch}\r\n"
        f"From: <sip:m@example.test>;tag=m\r\nTo: <sip:bob@example.test>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n"
        f"{length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (b"Subject: none", b"400 Content-Length is missing"),
        (b"l: 0\r\nContent-Length: 90", b"400 More than one Content-Length"),
        (b"Content-Length: 1000000", b"513 Message Too Large"),
        (b"Content-Length: ten", b"400 Content-Length is not a number"),
    ],
)
async def test_who_leaves_in_doubt_where_a_message_ends_is_told_so_and_cut_off(fault, said):
    async with two() as (_, bob, events):
        async with opened(bob) as peer:
            smuggled = raw(branch="smuggled")
            await peer.send_all(raw(branch="good") + raw(fault.decode(), branch="bad") + smuggled)
            answers = await ended(peer)
        assert b"200 OK" in answers
        assert said in answers
        assert b"smuggled" not in answers
        assert [event.request.call_id for event in events] == ["good"]
        await settled(lambda: stream(bob).connections == 0)


async def test_a_connection_that_says_nothing_is_cut_off():
    async with two(proof_s_max=0.2) as (_, bob, _), opened(bob) as peer:
        assert await ended(peer) == b""
        assert stream(bob).cut_off == 1


async def test_a_slow_loris_is_cut_off_while_it_still_drips():
    async with two(message_s_max=0.3) as (_, bob, events), opened(bob) as peer:
        await peer.send_all(raw())
        await settled(lambda: events)
        async with trio.open_nursery() as nursery:

            async def drip() -> None:
                for byte in raw():
                    try:
                        await peer.send_all(bytes([byte]))
                    except trio.BrokenResourceError:
                        return
                    await trio.sleep(0.02)

            nursery.start_soon(drip)
            answers = await ended(peer)
            nursery.cancel_scope.cancel()
        assert answers.count(b"200 OK") == 1
        assert len(events) == 1


async def test_a_handshake_that_does_not_go_on_is_cut_off(tls_here):
    async with two(tls_here, tls_here, open_s_max=0.2) as (_, bob, _), opened(bob, TLS) as peer:
        await peer.send_all(b"\x16\x03\x01")
        assert await ended(peer) == b""
        assert stream(bob).connections == 0


async def test_one_source_cannot_take_all_connections():
    async with two(source_unproven_max=3) as (_, bob, _), opened(bob) as one, opened(bob), opened(bob):
        await settled(lambda: stream(bob).connections == 3)
        async with opened(bob) as refused:
            assert await ended(refused) == b""
        assert stream(bob).turned_away == 1
        await one.send_all(raw())
        assert b"200 OK" in await one.receive_some()
        async with opened(bob) as another:
            await another.send_all(raw(branch="two"))
            assert b"200 OK" in await another.receive_some()


async def test_one_who_does_not_read_is_cut_off_and_costs_no_memory():
    async with two(unsent_bytes_max=50_000) as (_, bob, events), opened(bob) as peer:
        await peer.send_all(raw())
        await settled(lambda: events)
        large = request("MESSAGE", bob).with_body(b"x" * 50_000, "text/plain")
        outcomes: list = []
        while stream(bob).connections:
            bob.send(large, events[0].flow, outcomes.append)
            await trio.lowlevel.checkpoint()
        assert Unreachable("it does not read what we send") in outcomes
        assert {type(outcome) for outcome in outcomes} == {Unreachable}
        assert stream(bob)._unsent.total == 0


async def test_a_ping_is_answered_with_a_pong():
    async with two() as (_, bob, _), opened(bob) as peer:
        await peer.send_all(b"\r\n\r\n")
        assert await peer.receive_some() == b"\r\n"


async def test_connections_that_we_opened_are_kept_alive():
    quick = replace(STREAM_LIMITS, ping_s=0.1, pong_s_max=0.3)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, open_endpoint(TCP_HERE, stream_limits=quick) as alice:
        outcome = Ear()
        target = Target(TCP, Address(*listener.socket.getsockname()))
        alice.send(request("OPTIONS", alice), target, outcome)
        with trio.fail_after(30):
            async with await listener.accept() as peer:
                got = b""
                while not got.endswith(b"\r\n\r\n" * 3):  # the end of the request, and two pings
                    got += await peer.receive_some()
                await peer.send_all(b"\r\n")
                await ended(peer)  # it has answered once and does no more
            assert await outcome.next() == Unreachable("a keep-alive was not answered")


# TLS


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def tls_here(authority):
    """A TLS listener that trusts the authority and has a certificate for 127.0.0.1 and example.test."""
    issued = authority.issue("DNS:example.test", "IP:127.0.0.1")
    return [Listener(LOOPBACK, TLS, tls=Tls(issued.certificate, issued.key, authorities=authority.certificate))]


pytestmark = needs_openssl


async def test_a_call_over_tls_to_the_one_who_was_meant(tls_here):
    async with two(tls_here, tls_here) as (alice, bob, events):
        ear = Ear()
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "example.test"), ear)
        assert (await ear.next()).status == 200
        assert events[0].request.via.text.startswith(f"SIP/2.0/TLS {alice.address};branch=")
        # An address may stand in the certificate as well.
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "127.0.0.1"), ear)
        assert (await ear.next()).status == 200
        assert stream(alice).connections == 2  # one that is good for one name is not used for another
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "example.test"), ear)
        assert (await ear.next()).status == 200
        assert stream(alice).connections == 2


async def test_who_is_not_who_was_meant_gets_nothing(tls_here):
    async with two(tls_here, tls_here) as (alice, bob, events):
        ear = Ear()
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "other.test"), ear)
        outcome = await ear.next()
        assert outcome.why.startswith("its certificate is not trusted")
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address), ear)
        assert await ear.next() == Unreachable("TLS needs the name that the certificate must have")
        assert events == []


async def test_a_stranger_without_certificate_is_refused_where_one_is_asked_for(tls_here, authority, tmp_path):
    mutual = [replace(tls_here[0], tls=replace(tls_here[0].tls, client_authorities=authority.certificate))]
    strange = Authority(tmp_path / "strange").issue("DNS:stranger.test")
    files = Tls(strange.certificate, strange.key, authorities=authority.certificate)
    async with two([Listener(LOOPBACK, TLS, tls=files)], mutual) as (stranger, bob, events):
        ear = Ear()
        stranger.send(request("OPTIONS", stranger), Target(TLS, bob.address, "example.test"), ear)
        assert isinstance(await ear.next(), Unreachable)
        async with open_endpoint(tls_here) as alice:
            alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "example.test"), ear)
            assert (await ear.next()).status == 200
            assert bob.certificate_names(events[0].flow) == ("example.test", "127.0.0.1")
        assert len(events) == 1


async def test_a_new_certificate_is_taken_while_calls_go_on(tls_here, authority):
    files = tls_here[0].tls
    async with two(tls_here, tls_here) as (alice, bob, events):
        ear = Ear()
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "example.test"), ear)
        await ear.next()
        files.certificate.write_text("not a certificate")
        with pytest.raises(CertificateError, match="no certificate"):
            bob.reload_certificates()
        renewed = authority.issue("DNS:renewed.test")
        files.certificate.write_bytes(renewed.certificate.read_bytes())
        files.key.write_bytes(renewed.key.read_bytes())
        bob.reload_certificates()
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "example.test"), ear)
        assert (await ear.next()).status == 200
        assert stream(alice).connections == 1  # the old connection goes on
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "renewed.test"), ear)
        assert (await ear.next()).status == 200
        assert len({event.flow.connection for event in events}) == 2


def test_a_certificate_that_cannot_be_used_is_said_with_its_file(authority, tmp_path):
    issued, other = authority.issue("DNS:a.test"), authority.issue("DNS:b.test")
    for files, what in (
        (Tls(tmp_path / "none.pem", issued.key), "none.pem cannot be read: No such file"),
        (Tls(issued.certificate, other.key), "key values mismatch"),
        (Tls(issued.certificate, issued.key, authorities=issued.key), "holds no certificates"),
    ):
        with pytest.raises(CertificateError, match=what):
            Identity(files)


def test_a_certificate_outside_its_time_is_said_with_that_time(authority):
    over = authority.issue_for("20200101", "20210101", "DNS:a.test")
    with pytest.raises(CertificateError, match="has expired: it was valid until 2021-01-01 00:00 UTC"):
        Identity(Tls(over.certificate, over.key))
    coming = authority.issue_for("20480101", "20490101", "DNS:a.test")
    with pytest.raises(CertificateError, match="is not valid yet: only from 2048-01-01 00:00 UTC on"):
        Identity(Tls(coming.certificate, coming.key))
    assert Identity(Tls(*_files(authority.issue_for("20200101", "20490101", "DNS:a.test")))).ends == 2_493_072_000


def _files(issued):
    return issued.certificate, issued.key


def test_a_listener_says_what_is_wrong_with_it(authority):
    with pytest.raises(ValueError, match="advertised"):
        Listener(Address("0.0.0.0", 5060), TCP)
    with pytest.raises(ValueError, match="certificate"):
        Listener(LOOPBACK, TLS)
    with pytest.raises(ValueError, match="no transport"):
        Listener(LOOPBACK, "SCTP")


async def test_a_name_is_never_looked_up_nor_is_one_that_cannot_be_a_danger(tls_here):
    async with two(tls_here, tls_here) as (alice, bob, _):
        for target in (
            Target(TLS, Address("localhost", 5061), "localhost"),
            Target(TLS, bob.address, ".example.test"),
            Target(TLS, bob.address, "ä" * 100),
            Target(TLS, bob.address, "a\0b"),
        ):
            alice.send(request("OPTIONS", alice), target, ear := Ear())
            assert isinstance(await ear.next(), Unreachable)
        alice.send(request("OPTIONS", alice), Target(TLS, bob.address, "example.test"), ear)
        assert (await ear.next()).status == 200


async def test_the_loss_of_a_connection_is_told_and_everything_is_counted():
    async with two() as (alice, bob, events):
        lost: list = []
        bob.on_lost = lambda number, why: lost.append((number, why))
        alice.send(request("OPTIONS", alice), Target(TCP, bob.address), ear := Ear())
        await ear.next()
        assert bob.counters.connections == 1
        [peer] = stream(alice)._peers.values()
        peer.connection.cut("for the test")
        await settled(lambda: lost)
        assert lost == [(events[0].flow.connection, "closed by the other end")]
        assert bob.counters.connections == 0


@pytest.mark.parametrize(("transport", "taken"), [(TCP, 20), (TLS, 5)])
async def test_one_source_cannot_have_us_shake_hands_for_ever(tls_here, transport, taken):
    """Its connections count as messages, and those over TLS as what they cost; whoever else comes is let in."""
    here = tls_here if transport == TLS else TCP_HERE
    guard = RateLimit(RateLimits(per_s=0.04, burst=20))
    async with open_endpoint(here, guard=guard) as bob:
        streams = [await trio.open_tcp_stream(*bob.address) for _ in range(30)]
        with trio.fail_after(10):
            while stream(bob).turned_away < 30 - taken:  # noqa: ASYNC110 - it is told to nobody
                await trio.sleep(0.01)
        assert stream(bob).turned_away == 30 - taken
        other = await trio.open_tcp_stream(*bob.address, local_address="127.0.0.2")
        with trio.fail_after(10):
            while stream(bob).connections < taken + 1:  # noqa: ASYNC110
                await trio.sleep(0.01)
        for one in (*streams, other):
            await one.aclose()
