"""The endpoint over real sockets on loopback."""

import socket

import pytest
import trio
import trio.testing

from mediaha.model.address import Address
from mediaha.sip.dialog import Dialog
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.message import Response
from mediaha.sip.transaction.events import Acknowledged, Incoming, TimedOut, Unreachable
from mediaha.sip.transaction.timers import Timers

from .parties import LOOPBACK, Ear, request, serve


async def test_a_call_is_made_acknowledged_and_ended(nursery):
    events: list = []
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        nursery.start_soon(serve, bob, events)
        ear = Ear()
        invite = request("INVITE", alice)
        key = alice.send(invite, bob.address, ear)
        ok = await ear.next()
        dialog = Dialog.from_response(invite, ok)
        alice.send_ack(dialog.ack(1), dialog.next_hop(), key)
        dialog, bye = dialog.request("BYE")
        alice.send(bye, dialog.next_hop(), ear)
        assert (await ear.next()).cseq.method == "BYE"
        assert [type(event) for event in events] == [Incoming, Acknowledged, Incoming]
        nursery.cancel_scope.cancel()


async def test_a_call_is_cancelled(nursery):
    events: list = []
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        nursery.start_soon(serve, bob, events)
        ear = Ear()
        invite = request("INVITE", alice)
        key = alice.send(invite.with_headers(invite.headers.with_added([("Subject", "slow")])), bob.address, ear)
        assert (await ear.next()).status == 180
        alice.cancel(key)
        assert (await ear.next()).status == 487
        nursery.cancel_scope.cancel()


async def test_a_closed_port_is_known_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(LOOPBACK)
        target = Address(*closed.getsockname())
    async with open_endpoint(LOOPBACK, timers=Timers(t1=600.0)) as alice:
        ear = Ear()
        alice.send(request("OPTIONS", alice), target, ear)
        assert await ear.next() == Unreachable("Connection refused")  # long before any timer
        # The socket goes on working afterwards.
        async with open_endpoint(LOOPBACK) as bob, trio.open_nursery() as nursery:
            nursery.start_soon(serve, bob, [])
            alice.send(request("OPTIONS", alice), bob.address, ear)
            assert (await ear.next()).status == 200
            nursery.cancel_scope.cancel()


async def test_a_name_instead_of_an_address_is_unreachable_and_told_later():
    async with open_endpoint(LOOPBACK) as alice:
        heard: list = []
        alice.send(request("OPTIONS", alice), Address("localhost", 5060), heard.append)
        assert heard == []
        ear = Ear()
        alice.send(request("OPTIONS", alice), Address("::1", 5060), ear)
        assert isinstance(await ear.next(), Unreachable)
        assert isinstance(heard[0], Unreachable)


async def test_a_silent_peer_times_out():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(LOOPBACK)
        async with open_endpoint(LOOPBACK, timers=Timers(t1=0.005, t2=0.04)) as alice:
            ear = Ear()
            alice.send(request("OPTIONS", alice), Address(*silent.getsockname()), ear)
            assert await ear.next() == TimedOut()
            assert alice.open_transactions == (0, 0)


async def test_what_a_callback_raises_ends_no_other_call(nursery):
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        nursery.start_soon(serve, bob, [])

        def broken(event) -> None:
            raise RuntimeError("a mistake in one call")

        ear = Ear()
        alice.send(request("OPTIONS", alice), bob.address, broken)
        alice.send(request("OPTIONS", alice), bob.address, ear)
        assert (await ear.next()).status == 200
        nursery.cancel_scope.cancel()


async def test_a_burst_of_a_thousand_requests_is_answered(nursery):
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        nursery.start_soon(serve, bob, [])
        ear = Ear()
        for _ in range(1000):
            alice.send(request("OPTIONS", alice), bob.address, ear)
        answers = [await ear.next() for _ in range(1000)]
        assert all(isinstance(answer, Response) and answer.status == 200 for answer in answers)
        nursery.cancel_scope.cancel()


async def test_requests_that_nobody_takes_are_refused_and_the_queue_stays_bounded():
    patient = Timers(t1=60.0)  # a refusal is not remembered, so a repetition would be refused and counted again
    async with open_endpoint(LOOPBACK, timers=patient) as alice, open_endpoint(LOOPBACK) as bob:
        ear = Ear()
        for _ in range(20):
            for _ in range(100):
                alice.send(request("OPTIONS", alice), bob.address, ear)
            await trio.testing.wait_all_tasks_blocked(0.01)
        waiting = bob.requests.statistics().current_buffer_used
        assert waiting + bob.counters.refused_full == 2000
        assert 1024 <= waiting < 1024 + 64
        assert (await ear.next()).status == 503


async def test_whoever_takes_events_at_once_knows_how_far_behind_he_is():
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        behind, all_heard = [], trio.Event()
        ear = Ear()
        alice.send(request("OPTIONS", alice), bob.address, ear)
        await trio.testing.wait_all_tasks_blocked(0.05)

        def hear(event):
            behind.append(bob.behind_s)
            bob.respond(event.transaction, event.request.response(200, to_tag="bob"))
            if len(behind) == 201:
                all_heard.set()

        bob.give_events(hear)
        assert behind == [0.0], "what has waited is given at once"
        for _ in range(200):  # more than are read at a time; all are there before the first is read
            alice.send(request("OPTIONS", alice), bob.address, ear)
        with trio.fail_after(10):
            await all_heard.wait()
        assert max(behind) > 0
        assert bob.behind_s == 0.0
        assert (await ear.next()).status == 200


async def test_a_response_and_the_request_after_it_are_told_in_the_order_in_which_they_came():
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        told, both = [], trio.Event()

        def answer_and_ask(event):
            bob.respond(event.transaction, event.request.response(200, to_tag="bob"))
            bob.send(request("OPTIONS", bob), alice.address, Ear())

        def hear(event):
            told.append(type(event).__name__)
            if len(told) == 2:
                both.set()

        bob.give_events(answer_and_ask)
        alice.give_events(hear)
        alice.send(request("OPTIONS", alice), bob.address, hear)
        with trio.fail_after(10):
            await both.wait()
        assert told == ["Response", "Incoming"]


async def test_a_mistake_about_one_event_does_not_end_the_others():
    async with open_endpoint(LOOPBACK, timers=Timers(t1=60.0)) as alice, open_endpoint(LOOPBACK) as bob:
        taken, second = [], trio.Event()

        def stumble(event):
            taken.append(event)
            if len(taken) == 2:
                second.set()
            raise ValueError("a mistake of ours")

        bob.give_events(stumble)
        for _ in range(2):
            alice.send(request("OPTIONS", alice), bob.address, Ear())
        with trio.fail_after(10):
            await second.wait()


async def test_an_address_in_use_is_said():
    async with open_endpoint(LOOPBACK) as alice:
        with pytest.raises(OSError, match="in use"):
            async with open_endpoint(alice.address):
                pass


async def test_a_wildcard_needs_a_host_that_peers_can_answer_to():
    with pytest.raises(ValueError, match="advertised"):
        async with open_endpoint(Address("0.0.0.0", 0)):
            pass
    async with open_endpoint(Address("0.0.0.0", 0), advertised="127.0.0.1") as bob, trio.open_nursery() as nursery:
        nursery.start_soon(serve, bob, [])
        async with open_endpoint(LOOPBACK) as alice:
            ear = Ear()
            alice.send(request("OPTIONS", alice), Address("127.0.0.1", bob.address.port), ear)
            assert (await ear.next()).status == 200
        nursery.cancel_scope.cancel()


async def test_ipv6_works_the_same(nursery):
    async with open_endpoint(Address("::1", 0)) as alice, open_endpoint(Address("::1", 0)) as bob:
        nursery.start_soon(serve, bob, [])
        ear = Ear()
        alice.send(request("OPTIONS", alice), bob.address, ear)
        assert (await ear.next()).via.host == "::1"
        nursery.cancel_scope.cancel()


async def test_garbage_does_not_disturb(nursery):
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK) as bob:
        nursery.start_soon(serve, bob, [])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for garbage in (b"", b"\r\n\r\n", b"\0" * 2000, b"\xff" * 65_000, b"SIP/2.0 200 OK\r\n\r\n", b"INVITE"):
                stranger.sendto(garbage, bob.address)
        ear = Ear()
        alice.send(request("OPTIONS", alice), bob.address, ear)
        assert (await ear.next()).status == 200
        assert bob.counters.keepalives == 2
        assert bob.counters.malformed == 4
        nursery.cancel_scope.cancel()
