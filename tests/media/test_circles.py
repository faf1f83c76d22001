"""Two media servers that the SDP of two calls makes send to each other: one packet would go round for ever."""

import socket
import time

import pytest

from tests.media.calls import Client, audio, sdp, until
from tests.peers.mediaserver import MediaServer

RTP = bytes([0x80, 8]) + bytes(10) + b"\xd5" * 160
NOBODY = "127.0.0.9:4000"


class Call:
    """Both of its parties listen where it is told."""

    def __init__(self, ng):
        self._client = Client(ng)
        until("it answers", lambda: self._client.ask(command="ping"))
        self.for_callee = self._place("offer", NOBODY, {})
        self.for_caller = self._place("answer", NOBODY, {"to-tag": "2"})

    def between(self, caller, callee):
        self._place("offer", caller, {"to-tag": "2"})
        self._place("answer", callee, {"to-tag": "2"})

    def _place(self, command, listens, tags):
        asked = {"call-id": "call", "from-tag": "1", "sdp": sdp("IP4", listens), **tags}
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
        one, other = (Call(server.ng) for server in servers)
        one.between(other.for_callee, other.for_caller)
        other.between(one.for_callee, one.for_caller)
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        host, port = one.for_caller.split(":")
        stranger.sendto(RTP, (host, int(port)))

        def has_ended():
            before = one.counted()
            time.sleep(0.5)
            forwarded, repeated = one.counted()
            return (forwarded, repeated) == before and other.counted()[1] + repeated > 0

        until("it does not go round any more", has_ended)
        assert one.counted()[0] < 5000
        stranger.close()
