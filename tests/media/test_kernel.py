"""The kernel forwards calls over a cable between two hosts, while the media-server process stands still or is dead."""

import json
import re
import socket
import time

import pytest

from mediaha.load import Load
from tests.peers import netns
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
PATIENCE_S = 30.0
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


def until(what, holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.05)


class Client:
    """Of one ng port."""

    def __init__(self, ng):
        host, port = ng.rsplit(":", 1)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.connect((host, int(port)))
        self._cookie = 0

    def ask(self, **request):
        """What the server replies; None when it does not."""
        self._cookie += 1
        self._sock.settimeout(1.0)
        try:
            self._sock.send(f"{self._cookie} {json.dumps(request)}".encode())
            return json.loads(self._sock.recv(65535).partition(b" ")[2])
        except OSError:
            return None


def sdp(family, listens):
    host, port = listens.rsplit(":", 1)
    host = host.strip("[]")
    return f"v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


def audio(sdp):
    host = re.search(r"c=IN IP. (\S+)", sdp)[1]
    port = re.search(r"m=audio (\d+)", sdp)[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def two_that_talk(load, client, family, host):
    """A call; gives where the caller sends to, and both parties."""
    parties = [load.open(host), load.open(host)]
    load.pair(parties[0][0], parties[1][0])
    call = {"call-id": "call", "from-tag": "1"}
    for_callee = client.ask(command="offer", sdp=sdp(family, parties[0][1]), **call)["sdp"]
    for_caller = client.ask(command="answer", sdp=sdp(family, parties[1][1]), **{**call, "to-tag": "2"})["sdp"]
    for (endpoint, _), aim in zip(parties, (for_caller, for_callee), strict=True):
        load.aim(endpoint, audio(aim))
        load.start(endpoint)
    return audio(for_caller), [endpoint for endpoint, _ in parties]


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
        port, parties = two_that_talk(load, client, family, near)
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
