"""A packet arrives when the network brings it, not when somebody looks: a server that stands still makes no jitter."""

import itertools
import socket
import struct
import time

import pytest

from tests.media.calls import Client, answers, audio, sdp, until
from tests.peers import netns
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
FAMILIES = {"IP4": netns.NEAR, "IP6": netns.NEAR_V6} if netns.HAS_IPV6 else {"IP4": netns.NEAR}
PTIME_S = 0.02
STANDS_STILL_FOR = 15
"""Packets. Were they all taken to arrive when they are read, that would be 18 ms of jitter."""
BETWEEN_SENDING_AND_ARRIVING_MS_MAX = 4.0
"""Of jitter: were the test kept from its core once, just between sending and looking at the clock, for 60 ms."""


class Talker:
    """The caller of a call, who remembers when each packet was sent."""

    def __init__(self, client, family, host):
        self._client, self._call = client, {"call-id": family, "from-tag": "1"}
        self._ends = [self._socket(host) for _ in range(2)]
        listens = ["{}:{}".format(*end.getsockname()[:2]) for end in self._ends]
        client.ask(command="offer", sdp=sdp(family, listens[0]), **self._call)
        answered = client.ask(command="answer", sdp=sdp(family, listens[1]), **self._call, **{"to-tag": "2"})
        port = audio(answered["sdp"]).rsplit(":", 1)
        self._port = (port[0].strip("[]"), int(port[1]))
        self._sent_s = []

    @staticmethod
    def _socket(host):
        end = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        end.bind((host, 0))
        end.setblocking(False)
        return end

    def talk(self):
        number = len(self._sent_s) + 1
        packet = struct.pack("!BBHII", 0x80, 8, number, int(number * PTIME_S * 8000), 1) + b"\xd5" * 160
        self._ends[0].sendto(packet, self._port)
        self._sent_s.append(time.monotonic())

    def jitter_ms(self):
        """What the network has made of it (RFC 3550 A.8)."""
        jitter_s = 0.0
        for before, after in itertools.pairwise(self._sent_s):
            jitter_s += (abs(after - before - PTIME_S) - jitter_s) / 16
        return jitter_s * 1000

    def reported(self):
        """How many packets the server has forwarded, and their jitter in milliseconds."""
        call = None
        while call is None:
            call = self._client.ask(command="query", **{"call-id": self._call["call-id"]})
        stream = call["tags"]["1"]["medias"][0]["streams"][0]
        return stream["stats"]["packets"], stream["jitter us"] / 1000

    def is_forwarded(self):
        return self.reported()[0] == len(self._sent_s)


def talk(talkers, packets):
    began = time.monotonic()
    for number in range(packets):
        for talker in talkers:
            talker.talk()
        time.sleep(max(0.0, began + (number + 1) * PTIME_S - time.monotonic()))


@pytest.mark.parametrize("datapath", ["sockets", "steered", "kernel"])
def test_packets_that_wait_while_the_server_stands_still_have_no_jitter_of_that(tmp_path, datapath):
    media = [word for host in (netns.FAR, netns.FAR_V6)[: len(FAMILIES)] for word in ("--interface", host)]
    with netns.Namespace() as far:
        where = {"inside": far.inside_network, "datapath": datapath, "ports": (18000, 18099)}
        with MediaServer(tmp_path, "far", host=netns.FAR, options=media[2:], **where) as server:
            client = Client(server.ng)
            answers(server, client)
            talkers = [Talker(client, family, host) for family, host in FAMILIES.items()]
            talk(talkers, 10)
            server.hang()
            talk(talkers, STANDS_STILL_FOR)
            server.resume()
            talk(talkers, 1)
            for talker in talkers:
                until("all is forwarded", talker.is_forwarded)
                _, jitter_ms = talker.reported()
                assert abs(jitter_ms - talker.jitter_ms()) < BETWEEN_SENDING_AND_ARRIVING_MS_MAX
