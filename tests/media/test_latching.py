"""Strangers flood the port of a party behind a NAT at the moment of a re-INVITE, when sources are learnt anew."""

import contextlib
import socket
import struct
import time

import pytest

from tests.media.calls import Client, audio, sdp, until
from tests.peers.mediaserver import MediaServer

PRIVATE = "127.7.7.7"
"""What a caller's SDP says, where nobody is."""
NAT, OTHER_NAT, STRANGER, CALLEE = "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"
"""Where packets come from."""
CALLER = 0xCA11E4
"""Its SSRC."""
PACE_S = 0.02
WINDOW_S = 3.0
"""For so long after an offer or answer sources are learnt."""
FLOOD_PER_PACKET = 10


def rtp(ssrc, number):
    return struct.pack("!BBHII", 0x80, 8, number % 2**16, number * 160 % 2**32, ssrc) + b"\xd5" * 160


class Speaker:
    """A socket that sends numbered packets of one SSRC, and hears others."""

    def __init__(self, host, ssrc, number=1):
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((host, 0))
        self._sock.setblocking(False)
        self._ssrc, self.number = ssrc, number
        self.heard: list[int] = []
        """The SSRCs of all packets that have come."""

    @property
    def port(self):
        return self._sock.getsockname()[1]

    def speaks(self, to):
        self._sock.sendto(rtp(self._ssrc, self.number), to)
        self.number += 1

    def forgets(self):
        """What has come so far."""
        self._look()
        self.heard.clear()

    def hears(self, packets):
        """Whether so many have come since."""
        self._look()
        return len(self.heard) >= packets

    def _look(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(struct.unpack("!8xI", self._sock.recv(2048)[:12])[0])

    def moved(self, host):
        """The same phone, in another network."""
        return Speaker(host, self._ssrc, self.number)

    def close(self):
        self._sock.close()


class Call:
    """A caller behind a NAT, and a callee."""

    def __init__(self, client, number):
        self._client, self._tags = client, {"call-id": f"call-{number}", "from-tag": "1"}
        self.private = f"{PRIVATE}:{4000 + 2 * number}"
        self.caller, self.callee = Speaker(NAT, CALLER), Speaker(CALLEE, 0xCA11EE)
        self.stranger = Speaker(STRANGER, 0xE11)
        self.callees_port = self.offer(self.private)
        self.callers_port = self.answer()

    def offer(self, caller, attributes=""):
        return self._place("offer", caller, attributes, self._tags)

    def answer(self):
        return self._place("answer", f"{CALLEE}:{self.callee.port}", "", {**self._tags, "to-tag": "2"})

    def _place(self, command, listens, attributes, tags):
        reply = self._client.ask(command=command, sdp=sdp("IP4", listens) + attributes, **tags)
        host, port = audio(reply["sdp"]).split(":")
        return host, int(port)

    def is_flooded(self):
        for _ in range(FLOOD_PER_PACKET):
            self.stranger.speaks(self.callers_port)

    def close(self):
        for speaker in (self.caller, self.callee, self.stranger):
            speaker.close()


@pytest.fixture
def client(tmp_path):
    with MediaServer(tmp_path, "media", datapath="sockets") as server:
        client = Client(server.ng)
        until("it answers", lambda: client.ask(command="ping"))
        yield client


def paced(seconds):
    """Once for each packet of so many seconds."""
    for _ in range(int(seconds / PACE_S)):
        yield
        time.sleep(PACE_S)


def test_a_party_behind_a_nat_keeps_its_place_or_moves_whatever_floods_its_port_at_a_re_invite(client):
    refreshed, held, moved, renamed = calls = [Call(client, number) for number in range(4)]
    for _ in paced(0.5):
        for call in calls:
            call.caller.speaks(call.callers_port)
            call.callee.speaks(call.callees_port)
    assert all(call.caller.hears(1) and call.callee.hears(1) for call in calls)
    time.sleep(WINDOW_S)
    refreshed.offer(refreshed.private)
    held.offer(held.private, "a=sendonly\r\n")
    moved.offer(moved.private)
    renamed.offer("127.7.7.8:4000")
    for call in calls:
        call.is_flooded()
        call.caller.forgets()
        call.callee.forgets()
    for call in (moved, renamed):
        call.caller.close()
        call.caller = call.caller.moved(OTHER_NAT)
    spoken = 0
    for _ in paced(1):
        for call in calls:
            call.is_flooded()
            call.callee.speaks(call.callees_port)
        for call in (moved, renamed):
            call.caller.speaks(call.callers_port)
        spoken += 1
        if spoken == 10:
            for call in calls:
                call.answer()
    # On a busy machine a port that is flooded may overflow; and what the callee said before the first packet from
    # the new network went to the old one, or to the stranger.
    most = spoken - 10
    for call in calls:
        until("the caller hears the callee", lambda call=call: call.caller.hears(most))
    assert not refreshed.callee.hears(1)
    assert not held.callee.hears(1)
    for call in (moved, renamed):
        until("and is heard", lambda call=call: call.callee.hears(most) and call.callee.heard.count(CALLER) >= most)
    assert not refreshed.stranger.hears(1)
    assert not held.stranger.hears(1)
    for call in calls:
        call.close()
