"""The load generator from Python: what it counts, and that it says so when the wire does harm."""

import time

import pytest
import trio

from mediaha._core import BadArgument, Closed
from mediaha.load import Load
from tests.failover.world import until


@pytest.fixture
def load():
    load = Load(ptime_ms=20, gap_ms_min=50)
    yield load
    load.close()


def call(load):
    """Two endpoints that expect each other: (id, address) each."""
    a, b = load.open(), load.open()
    load.pair(a[0], b[0])
    return a, b


async def test_two_endpoints_hear_each_other(load):
    a, b = call(load)
    load.aim(a[0], b[1])
    load.aim(b[0], a[1])
    load.start(a[0])
    load.start(b[0])
    await until("both hear", lambda: all(load.arrivals(who).received > 10 for who, _ in (a, b)))
    totals = load.arrivals()
    assert (totals.lost, totals.corrupt, totals.misdirected, totals.duplicated) == (0, 0, 0, 0)
    assert 0 < totals.latency_ms_p50 <= totals.latency_ms_max
    began, bucket_s, heard = load.timeline()
    assert bucket_s == pytest.approx(0.02)
    assert began <= time.monotonic()
    assert sum(heard) >= totals.received


async def test_a_broken_packet_is_counted_as_broken_and_as_lost(load):
    a, b = call(load)
    wire = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    await wire.bind(("127.0.0.1", 0))
    host, port = b[1].rsplit(":", 1)
    load.aim(a[0], f"127.0.0.1:{wire.getsockname()[1]}")
    load.start(a[0])
    for number in range(10):
        packet = bytearray(await wire.recv(2000))
        if number == 4:
            packet[60] ^= 1
        await wire.sendto(packet, (host, int(port)))
    await until("nine are right", lambda: load.arrivals(b[0]).received == 9)
    heard = load.arrivals(b[0])
    assert (heard.corrupt, heard.lost, heard.misdirected) == (1, 1, 0)
    wire.close()


async def test_a_silence_is_a_gap_until_the_packets_come_back(load):
    a, b = call(load)
    load.aim(a[0], b[1])
    load.start(a[0])
    await until("b hears", lambda: load.arrivals(b[0]).received > 3)
    nowhere = load.open()
    cut_at = time.monotonic()
    load.aim(a[0], nowhere[1])
    await until("the silence is long", lambda: load.gaps(longer_than_ms=100, after=cut_at))
    [gap] = load.gaps(longer_than_ms=100, after=cut_at)
    assert (gap.endpoint, gap.ended) == (b[0], None)
    load.aim(a[0], b[1])
    await until("it ends", lambda: load.gaps(longer_than_ms=100, after=cut_at)[0].ended is not None)
    [gap] = load.gaps(longer_than_ms=100, after=cut_at)
    assert cut_at - 0.021 <= gap.began < gap.ended <= time.monotonic()
    assert load.arrivals(nowhere[0]).misdirected > 3
    assert load.arrivals(b[0]).lost > 3


async def test_stopping_on_purpose_is_no_gap(load):
    a, b = call(load)
    load.aim(a[0], b[1])
    load.start(a[0])
    await until("b hears", lambda: load.arrivals(b[0]).received > 3)
    load.stop(a[0])
    await trio.sleep(0.1)  # longer than the shortest gap that is remembered
    assert load.gaps() == []


def test_mistakes_are_named(load):
    with pytest.raises(BadArgument, match="endpoint 7"):
        load.start(7)
    with pytest.raises(BadArgument, match="nowhere"):
        load.aim(load.open()[0], "nowhere")
    load.close()
    load.close()
    with pytest.raises(Closed):
        load.open()
