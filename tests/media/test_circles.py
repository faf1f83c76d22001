"""Two media servers that the SDP of two calls makes send to each other: one packet would go round for ever."""

import socket
import time

import pytest

from tests.media.calls import Client, answers, audio, sdp, until
from tests.peers import netns
from tests.peers.frames import IPV4, Frames, ipv4, udp
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

RTP = bytes([0x80, 8]) + bytes(10) + b"\xd5" * 160
NOBODY = "127.0.0.9:4000"


class Call:
    """Both of its parties listen where it is told; ``flags`` are those of its offers and answers."""

    def __init__(self, server, *flags):
        self._client, self._flags = Client(server.ng), flags
        answers(server, self._client)
        self.for_callee = self._place("offer", NOBODY, {})
        self.for_caller = self._place("answer", NOBODY, {"to-tag": "2"})

    def between(self, caller, callee):
        self._place("offer", caller, {"to-tag": "2"})
        self._place("answer", callee, {"to-tag": "2"})

    def _place(self, command, listens, tags):
        asked = {"call-id": "call", "from-tag": "1", "flags": self._flags, "sdp": sdp("IP4", listens), **tags}
        return audio(self._client.ask(command=command, **asked)["sdp"])

    def counted(self):
        """Packets that were forwarded, and that had come again and again."""
        tags = self._client.ask(command="query", **{"call-id": "call"})["tags"].values()
        streams = [stream for tag in tags for media in tag["medias"] for stream in media["streams"]]
        return sum(it["stats"]["packets"] for it in streams), sum(
            it.get("dropped", {}).get("repeated", 0) for it in streams
        )


@pytest.mark.parametrize("datapath", ["sockets", "auto"])
def test_a_packet_that_goes_round_between_two_servers_is_known_again_and_dropped(tmp_path, datapath):
    servers = [MediaServer(tmp_path, name, datapath=datapath) for name in ("one", "other")]
    with servers[0], servers[1]:
        one, other = (Call(server) for server in servers)
        in_a_circle(one, other)
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.sendto(RTP, address(one.for_caller))
        comes_to_an_end(one, other)
        assert one.counted()[0] < 5000
        stranger.close()


@pytest.mark.namespace
@unless(netns.missing())
def test_nor_does_it_for_ever_when_two_kernels_forward_it_to_each_other(tmp_path):
    """At each of them it may pass one router less, and at its last hop the process sees it."""
    with netns.Namespace() as far:
        servers = (
            MediaServer(tmp_path, "one", host=netns.NEAR, datapath="kernel"),
            MediaServer(tmp_path, "other", host=netns.FAR, datapath="kernel", inside=far.inside_network),
        )
        with servers[0], servers[1]:
            # Only what is named is believed, so that the kernels take the packet over at once.
            one, other = (Call(server, "strict source") for server in servers)
            in_a_circle(one, other)
            with Frames(far.near, far.mac()) as frames:
                source, to = (address(it) for it in (one.for_callee, other.for_caller))
                frames.send(IPV4, ipv4(udp(RTP, source, to), source[0], to[0]))
            comes_to_an_end(one, other)
            for server in servers:
                server.end()


def in_a_circle(one, other):
    one.between(other.for_callee, other.for_caller)
    other.between(one.for_callee, one.for_caller)


def comes_to_an_end(one, other):
    def has_ended():
        before = one.counted()
        time.sleep(0.5)
        forwarded, repeated = one.counted()
        return (forwarded, repeated) == before and other.counted()[1] + repeated > 0

    until("it does not go round any more", has_ended)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)
