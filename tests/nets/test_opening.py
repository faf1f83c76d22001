"""What ``[sip]`` of a site says is what a NeTS does: timers, limits, keep-alives, whom it trusts."""

from __future__ import annotations

import socket
from dataclasses import replace

import trio

from mediaha.model.address import Address
from mediaha.model.listener import TCP, UDP, Listener
from mediaha.model.sip import SipSettings
from mediaha.model.site import Timings
from mediaha.nets import Limits
from mediaha.nets.opening import guard_of, timers_of
from tests.nets.phone import LOOPBACK
from tests.nets.test_listeners import OneDomain
from tests.nets.world import open_world, until

HERE = Address(LOOPBACK, 0)


def test_the_defaults_are_those_of_the_rfc():
    timers = timers_of(SipSettings())
    assert (timers.t1, timers.t2, timers.t4, timers.invite, timers.request, timers.d) == (0.5, 4, 5, 32, 32, 32)
    assert timers_of(SipSettings(t1_ms=100)).invite == 6.4
    assert Limits.of(Timings(), SipSettings(t1_ms=100)).request_s_max == 6.4


def test_loopback_and_those_who_are_named_are_trusted_and_zero_means_no_limit():
    guard = guard_of(SipSettings(messages_per_s=1, messages_burst=1, trusted=("192.0.2.7",)))
    for host in ("127.0.0.1", "::1", "192.0.2.7"):
        assert all(guard.admits(host, 0.0) for _ in range(100))
    assert not all(guard.admits("192.0.2.8", 0.0) for _ in range(100))
    assert guard_of(SipSettings(messages_per_s=0)) is None


def test_who_may_call_may_send_what_that_takes_but_everybody_is_nobody():
    guard = guard_of(SipSettings(messages_per_s=1, messages_burst=1), ["192.0.2.0/24", "0.0.0.0/0"])
    assert all(guard.admits("192.0.2.99", 0.0) for _ in range(100))
    assert not all(guard.admits("198.51.100.1", 0.0) for _ in range(100))


async def test_a_silent_target_is_given_up_after_timer_b():
    sip = SipSettings(t1_ms=20, timer_b_s=0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOOPBACK, 0))
        async with open_world(sip=sip, limits=Limits.of(Timings(), sip)) as world:
            there = Address(*silent.getsockname())
            world.route(OneDomain(replace(world.routes.domain("desk.test"), targets=(there,))))
            mine = world.caller.call(world.front)
            with trio.fail_after(10):
                await mine.refused.wait()
            assert mine.final.status == 408
            await world.empties()


async def test_calls_are_refused_with_503_when_there_are_as_many_as_may_be():
    sip = SipSettings(calls_max=1)
    async with open_world(sip=sip, limits=Limits.of(Timings(), sip)) as world:
        mine, _ = await world.connect()
        further = world.caller.call(world.front)
        await further.refused.wait()
        assert further.final.status == 503
        assert further.final.headers.get("Retry-After")
        mine.bye()
        await world.empties()


async def test_a_connection_that_we_have_opened_is_kept_alive_with_pings():
    """RFC 5626 section 4.4.1: two CRLF, until the other end answers with one."""
    sip = SipSettings(keepalive_s=0.2)
    async with open_world(sip=sip, listeners=[Listener(HERE, UDP), Listener(HERE, TCP)]) as world:
        (listening,) = await trio.open_tcp_listeners(0, host=LOOPBACK)
        port = listening.socket.getsockname()[1]
        domain = replace(world.routes.domain("desk.test"), targets=(f"sip:{LOOPBACK}:{port};transport=tcp",))
        world.route(OneDomain(domain))
        await until(lambda: world.nets._trunks.destinations(domain))
        mine = world.caller.call(world.front)
        heard = b""
        async with await listening.accept() as stream:
            with trio.fail_after(20):
                while b"\r\n\r\n\r\n\r\n" not in heard:
                    heard += await stream.receive_some()
        assert heard.startswith(b"INVITE sip:desk@")
        await mine.refused.wait()
        await world.empties()
