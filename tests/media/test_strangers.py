"""Strangers flood a media server with forged packets from a host beside it: no call loses one, each has a cause."""

import random
import time

import pytest

from mediaha.load import Load
from tests.media.calls import Client, answers, two_that_talk, until
from tests.peers import backlog, netns
from tests.peers.forger import Forger
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
CALLS = 4
PACKETS_PER_S = CALLS * 2 * 50 * 10
"""Ten times as many as the parties send."""
FIRST_PORT, LAST_PORT = 18000, 18099
FLOOD_S = 4.0
"""It begins while parties are still learnt, and ends when they are certain."""
RTP = bytes([0x80, 8]) + bytes(10) + b"\xd5" * 160
RTCP = bytes([0x80, 203, 0, 1]) + b"bye!"
ODD = [b"", b"\x80", RTP[:11], b"\x40" + RTP[1:], b"\xc0" + RTP[1:], bytes(172), b"\x16" * 40, RTP + bytes(1200), RTCP]


def address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Flood:
    """Forged packets to the ports of calls, and to others."""

    def __init__(self, family, near, calls):
        self._family, self._near = family, near
        self._calls = [[(address(party), address(port)) for party, port in call] for call in calls]
        self._dice = random.Random(1)
        taken = {port[1] & ~1 for call in self._calls for _, port in call}
        self._unused = [port for port in range(FIRST_PORT, LAST_PORT + 1) if port & ~1 not in taken]
        self.counted = 0
        """Packets to ports of calls: the relay owes an account of them."""

    def run(self):
        with Forger(self._family) as forger:
            began, sent = time.monotonic(), 0
            while (spent := time.monotonic() - began) < FLOOD_S:
                while sent < spent * PACKETS_PER_S:
                    payload, source, to = self._packet(sent)
                    forger.send(payload, source, to)
                    self.counted += to[1] not in self._unused
                    sent += 1
                time.sleep(0.001)

    def nudges(self):
        """One more packet to each port: a relay looks what the kernel has dropped there when it hears something."""
        with Forger(self._family) as forger:
            for host, port in [to for call in self._calls for _, to in call]:
                for component in (port, port + 1):
                    forger.send(b"", (self._near, 9), (host, component))
                    self.counted += 1
        return False

    def _packet(self, number):
        (_, port), (other, others_port) = self._dice.sample(self._calls[number % CALLS], 2)
        # From the parties' own host, as from behind the same NAT; parties have higher ports.
        stranger = (self._near, self._dice.randrange(20000))
        reports = (port[0], port[1] + 1)
        return self._dice.choice(
            [
                (RTP, stranger, port),
                (RTP, other, port),
                (RTP, stranger, (port[0], self._dice.choice(self._unused))),
                (self._dice.choice(ODD), stranger, others_port),
                (RTCP, stranger, reports),
            ]
        )


def streams(client):
    """What the server says of each stream of all calls."""
    for call in range(CALLS):
        for tag in client.ask(command="query", **{"call-id": f"call-{call}"})["tags"].values():
            yield from (stream for media in tag["medias"] for stream in media["streams"])


def account(client):
    """Packets that the server says it has forwarded or dropped, of all calls."""
    return sum(stream["stats"]["packets"] + sum(stream.get("dropped", {}).values()) for stream in streams(client))


def overflow(client):
    """Packets that found no room, which there is unless the server was kept from its core for long."""
    return sum(stream.get("dropped", {}).get("overflow", 0) for stream in streams(client))


@pytest.mark.parametrize(("datapath", "family"), [("sockets", "IP4"), ("steered", "IP6"), ("kernel", "IP4")])
def test_a_flood_of_forged_packets_costs_no_call_a_packet_and_each_has_a_cause(tmp_path, datapath, family):
    if family == "IP6" and not netns.HAS_IPV6:
        pytest.skip("there is no IPv6 here")
    near, media = (netns.NEAR, netns.FAR) if family == "IP4" else (netns.NEAR_V6, netns.FAR_V6)
    load, before = Load(gap_ms_min=50), backlog.dropped()
    with netns.Namespace() as far:
        where = {"inside": far.inside_network, "datapath": datapath, "ports": (FIRST_PORT, LAST_PORT)}
        with MediaServer(tmp_path, "far", host=netns.FAR, media=media, **where) as server:
            client = Client(server.ng)
            answers(server, client)
            calls = []
            for number in range(CALLS):
                ports, parties = two_that_talk(load, client, family, near, f"call-{number}")
                calls.append([(party, port) for (_, party), port in zip(parties, ports, strict=True)])
            until("they are heard", lambda: load.arrivals().received > 10 * CALLS)
            flood = Flood(family, near, calls)
            flood.run()
            for endpoint in range(2 * CALLS):
                load.stop(endpoint)
            sent = load.arrivals().sent

            def left_behind():
                return backlog.dropped() - before

            def uncounted():
                return flood.counted + sent - account(client)

            until("each has a cause", lambda: 0 <= uncounted() <= left_behind() or flood.nudges())
            # A relay counts a packet before it sends it.
            until("each is heard", lambda: sent - load.arrivals().received <= overflow(client) + left_behind())
            heard = load.arrivals()
            assert (heard.reordered, heard.duplicated, heard.misdirected, heard.corrupt) == (0, 0, 0, 0)
            assert flood.counted > 2000
            assert server.log().count("\n") < 10, "a flood is nothing to write home about"
            server.end()
    load.close()
