"""How much one source may send, when it is many and when there are too many of them."""

import trio
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.rate import RateLimit, RateLimits

from .parties import LOOPBACK, Ear, request, serve

LIMITS = RateLimits(per_s=10, burst=20, shared_per_s=5, shared_burst=5, sources_max=100, debt_s_max=60)


def taken(limit: RateLimit, host: str, count: int, now: float) -> int:
    return sum(limit.admits(host, now) for _ in range(count))


def test_a_burst_is_taken_and_then_the_steady_rate():
    limit = RateLimit(LIMITS)
    assert taken(limit, "192.0.2.1", 100, 0.0) == 20
    assert taken(limit, "192.0.2.1", 100, 1.0) == 10
    assert taken(limit, "192.0.2.2", 100, 1.0) == 20
    assert taken(limit, "192.0.2.1", 100, 100.0) == 20
    assert limit.turned_away == 330


def test_trunks_may_send_what_they_like():
    limit = RateLimit(LIMITS, trusted=["192.0.2.9"])
    limit.trust(["192.0.2.1"])
    assert taken(limit, "192.0.2.1", 10_000, 0.0) == 10_000
    limit.trust([])
    assert taken(limit, "192.0.2.1", 100, 0.0) == 20


def test_the_addresses_of_an_ipv6_network_are_one_source():
    limit = RateLimit(LIMITS)
    assert sum(taken(limit, f"2001:db8::{n:x}", 1, 0.0) for n in range(1, 100)) == 20
    assert taken(limit, "2001:db8:0:1::1", 100, 0.0) == 20


def test_a_wrong_password_costs_more_than_a_message_and_is_forgiven_in_the_end():
    limit = RateLimit(LIMITS)
    limit.charge("192.0.2.1", 50, 0.0)
    assert taken(limit, "192.0.2.1", 1, 0.0) == 0
    assert taken(limit, "192.0.2.1", 1, 3.2) == 1
    limit.charge("192.0.2.1", 1_000_000, 4.0)
    assert taken(limit, "192.0.2.1", 1, 61.0) == 0
    assert taken(limit, "192.0.2.1", 1, 64.0) == 1


def test_a_flood_from_made_up_addresses_costs_bounded_memory_and_leaves_others_alone():
    limit = RateLimit(LIMITS)
    assert limit.admits("192.0.2.1", 0.0)
    got = sum(limit.admits(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0.01) for n in range(50_000))
    assert len(limit) == 100
    assert got == 99 + 5
    assert limit.admits("192.0.2.1", 0.01)
    # When they have rested, their places are free again.
    assert limit.admits("192.0.2.2", 60.0)
    assert len(limit) == 1


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 5)), max_size=100))
def test_no_pattern_of_sending_gets_more_than_its_share(steps):
    limit = RateLimit(LIMITS)
    now, got = 0.0, 0
    for host, wait in steps:
        now += wait
        got += taken(limit, f"h{host % 2}", 3, now)
        assert len(limit) <= LIMITS.sources_max
    assert got <= 2 * (LIMITS.burst + now * LIMITS.per_s + 1)


async def test_an_endpoint_ignores_who_sends_too_much(nursery):
    guard = RateLimit(RateLimits(per_s=0.001, burst=5))
    events: list = []
    async with open_endpoint(LOOPBACK) as alice, open_endpoint(LOOPBACK, guard=guard) as bob:
        nursery.start_soon(serve, bob, events)
        ear = Ear()
        for _ in range(20):
            alice.send(request("OPTIONS", alice), bob.address, ear)
        for _ in range(5):
            assert (await ear.next()).status == 200
        while bob.counters.turned_away < 15:
            await trio.lowlevel.checkpoint()
        assert len(events) == 5
        assert bob.counters.received == 5
        guard.trust(["127.0.0.1"])
        alice.send(request("OPTIONS", alice), bob.address, ear)
        assert (await ear.next()).status == 200
        nursery.cancel_scope.cancel()
