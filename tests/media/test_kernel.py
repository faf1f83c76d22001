"""The kernel forwards calls over a cable between two hosts, while the media-server process stands still or is dead."""

import socket
import time

import pytest

from mediaha.load import Load
from tests.media.calls import Client, two_that_talk, until
from tests.peers import netns
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
DEAD_S = 3.0
ENDS = {"IP4": (netns.NEAR, netns.FAR), "IP6": (netns.NEAR_V6, netns.FAR_V6)}


@pytest.fixture
def far():
    with netns.Namespace() as host:
        yield host


@pytest.fixture
def load():
    load = Load(gap_ms_min=50)
    yield load
    load.close()


def goes_on(load, parties):
    """Whether both are heard now."""
    before = [load.arrivals(party).received for party in parties]
    time.sleep(0.3)
    return all(load.arrivals(party).received >= then + 5 for party, then in zip(parties, before, strict=True))


def under_way(load):
    """Packets that were sent and are not heard yet."""
    heard = load.arrivals()
    return heard.sent - heard.received


@pytest.mark.parametrize("family", ENDS)
def test_calls_go_on_without_the_process_and_without_a_lost_packet(tmp_path, far, load, family):
    if family == "IP6" and not netns.HAS_IPV6:
        pytest.skip("there is no IPv6 here")
    near, media = ENDS[family]
    kernel = {"inside": far.inside_network, "datapath": "kernel", "ports": (18000, 18099)}
    with MediaServer(tmp_path, "far", host=netns.FAR, media=media, **kernel) as server:
        client = Client(server.ng)
        until("it answers, or says why not", lambda: client.ask(command="ping") or "cannot be had" in server.log())
        if "cannot be had" in server.log():
            pytest.skip(server.log())
        (port, _), talking = two_that_talk(load, client, family, near)
        parties = [endpoint for endpoint, _ in talking]
        until("both hear each other", lambda: goes_on(load, parties))

        def needs_nobody():
            server.hang()
            alone = goes_on(load, parties)
            if not alone:
                server.resume()
                time.sleep(0.2)
            return alone

        until("the kernel forwards", needs_nobody)
        server.crash()
        host, number = port.rsplit(":", 1)
        with socket.socket(socket.AF_INET6 if ":" in near else socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            ends_at = time.monotonic() + DEAD_S
            while time.monotonic() < ends_at:
                stranger.sendto(b"\x80" * 172, (host.strip("[]"), int(number)))
                time.sleep(0.01)
        server.start()
        until("the next process answers", lambda: client.ask(command="ping"))
        until("the next process goes on", lambda: goes_on(load, parties))
        until("none but what is under way is missing", lambda: under_way(load) <= 4)
        heard = load.arrivals()
        assert (heard.lost, heard.reordered, heard.duplicated, heard.misdirected, heard.corrupt) == (0, 0, 0, 0, 0)
        assert "flows_taken_over" in server.log()
        server.end()
        assert not goes_on(load, parties), "with a server that has ended in order the kernel forwards nothing"
