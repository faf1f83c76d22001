"""More packets than the core can take: none is late without end, each loss is counted, the server stays reachable."""

import re
import socket
import threading
import time

import pytest

from mediaha.load import Load
from tests.peers import backlog
from tests.peers.mediaserver import MediaServer
from tests.peers.ng import NgClient

PATIENCE_S = 60.0
CALLS = 40
PTIME_MS = 10
NO_RTP = bytes(172)
SHARE = 0.02
"""Of a core that the server gets: half of what that many packets take, or less."""
PACKET_BYTES = 768
"""What the kernel charges a queue for a packet of G.711, at least."""
QUEUE_BYTES = {"steered": 2 * (2 << 20), "sockets": 2 * 2 * CALLS * 2 * (32 << 10)}
"""Bytes of all queues of a worker, twice what the kernel is asked for: a steered one has one, others have one for each
of two ports of both sides of a call."""


def until(what, holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.02)


def sdp(listens):
    host, port = listens.rsplit(":", 1)
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


def audio(sdp):
    host, port = re.search(r"c=IN IP4 (\S+)", sdp)[1], re.search(r"m=audio (\d+)", sdp)[1]
    return f"{host}:{port}"


class Call:
    """Two that talk to each other all the time."""

    def __init__(self, load, client, number, **more):
        self._load = load
        self.words = {"call-id": f"call-{number}", "from-tag": "a", **more}
        (a, a_listens), (b, b_listens) = load.open(), load.open()
        load.pair(a, b)
        self.parties = (a, b)
        self.offered = sdp(a_listens)
        to_a = client.ask(command="offer", sdp=self.offered, **self.words)
        to_b = client.ask(command="answer", sdp=sdp(b_listens), **{**self.words, "to-tag": "b"})
        load.aim(a, audio(to_b["sdp"]))
        load.aim(b, audio(to_a["sdp"]))
        load.start(a)
        load.start(b)

    def lost(self):
        """For each party, how many of its packets were never heard."""
        a, b = (self._load.arrivals(party) for party in self.parties)
        return [a.sent - b.received, b.sent - a.received]

    def dropped(self, client):
        """The same by the server's account of what found no room."""
        tags = client.ask(command="query", **self.words)["tags"]
        return [tags[tag]["medias"][0]["streams"][0]["dropped"]["overflow"] for tag in "ab"]


@pytest.mark.parametrize(("datapath", "workers"), [("steered", 1), ("steered", 2), ("sockets", 1)])
def test_with_too_many_packets_calls_lose_some_and_all_else_goes_on(tmp_path, datapath, workers):
    options = ["--workers", str(workers)]
    with MediaServer(tmp_path, "slow", datapath=datapath, options=options) as server:
        client = NgClient(server.ng)
        until("it answers, or says why not", lambda: client.is_answered() or "cannot be had" in server.log())
        if "cannot be had" in server.log():
            pytest.skip(server.log())
        load, left_behind = Load(ptime_ms=PTIME_MS, gap_ms_min=1000), backlog.dropped()
        calls = [Call(load, client, number) for number in range(CALLS)]
        parties = [party for call in calls for party in call.parties]
        until("all are heard", lambda: all(load.arrivals(party).received > 10 for party in parties))

        def new_call(**more):
            words = {"call-id": "new", "from-tag": "a"}
            reply = client.ask(command="offer", sdp=calls[0].offered, **words, **more)
            if reply["result"] == "ok":
                client.ask(command="delete", **words, **{"delete-delay": 0})
            return reply

        with server.slowed(SHARE):
            until("packets find no room", lambda: any(sum(call.dropped(client)) for call in calls))
            began, before = time.monotonic(), load.arrivals().received
            until("new calls are refused", lambda: new_call().get("error-reason") == "Load limit exceeded")
            limit = {"result": "load limit", "message": "Load limit exceeded"}
            until("who knows limits is told of one", lambda: new_call(supports=["load limit"]) == limit)
            assert client.ask(command="ping")["result"] == "pong"
            assert "sdp" in client.ask(command="offer", sdp=calls[1].offered, **{**calls[1].words, "to-tag": "b"})
            time.sleep(1.0)
            taken_per_s = (load.arrivals().received - before) / (time.monotonic() - began)
        # What is heard has waited no longer than for the others that its queues have room for.
        room = workers * QUEUE_BYTES[datapath] / PACKET_BYTES
        assert load.arrivals().latency_ms_max < 2000 * room / taken_per_s

        def is_accounted_for():
            # Sockets are looked at once a second, when they hear something.
            time.sleep(1.1)
            for party in parties:
                load.stop(party)
            time.sleep(0.6)
            uncounted = [
                lost - dropped
                for call in calls
                for lost, dropped in zip(call.lost(), call.dropped(client), strict=True)
            ]
            for party in parties:
                load.start(party)
            return min(uncounted) >= 0 and sum(uncounted) <= backlog.dropped() - left_behind

        until("each lost packet is counted for its stream", is_accounted_for)
        until("new calls are taken again", lambda: new_call()["result"] == "ok")
        heard = load.arrivals()
        assert (heard.reordered, heard.duplicated, heard.misdirected, heard.corrupt) == (0, 0, 0, 0)
        load.close()
        client.close()


class Flooder:
    """A party that sends what its call is not about, as fast as it can."""

    def __init__(self, client):
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.words = {"call-id": "flood", "from-tag": "a", "flags": ["strict source"]}
        offered = sdp("{}:{}".format(*self._sock.getsockname()))
        client.ask(command="offer", sdp=offered, **self.words)
        answered = client.ask(command="answer", sdp=offered, **{**self.words, "to-tag": "b"})
        host, port = audio(answered["sdp"]).rsplit(":", 1)
        self._to = (host, int(port))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._flood)
        self.sent = 0

    def _flood(self):
        while not self._over.is_set():
            for _ in range(100):
                self._sock.sendto(NO_RTP, self._to)
            self.sent += 100

    def dropped(self, client):
        """By cause, as the server has counted them."""
        return client.ask(command="query", **self.words)["tags"]["a"]["medias"][0]["streams"][0]["dropped"]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def test_what_the_process_cannot_read_costs_the_calls_that_the_kernel_forwards_nothing(tmp_path):
    with MediaServer(tmp_path, "slow", datapath="kernel") as server:
        client = NgClient(server.ng)
        until("it answers, or says why not", lambda: client.is_answered() or "cannot be had" in server.log())
        if "cannot be had" in server.log():
            pytest.skip(server.log())
        load = Load(ptime_ms=PTIME_MS, gap_ms_min=1000)
        # The kernel takes them over as soon as they are heard.
        calls = [Call(load, client, number, flags=["strict source"]) for number in range(CALLS)]
        parties = [party for call in calls for party in call.parties]

        def all_go_on():
            before = [load.arrivals(party).received for party in parties]
            time.sleep(0.2)
            return all(load.arrivals(party).received > then for party, then in zip(parties, before, strict=True))

        def need_nobody():
            server.hang()
            alone = all_go_on()
            server.resume()
            time.sleep(0.1)
            return alone

        until("the kernel forwards", need_nobody)
        flooder = Flooder(client)

        def new_call():
            words = {"call-id": "new", "from-tag": "a"}
            reply = client.ask(command="offer", sdp=calls[0].offered, **words)
            if reply["result"] == "ok":
                client.ask(command="delete", **words, **{"delete-delay": 0})
            return reply

        with server.slowed(SHARE), flooder:
            until("there is no room for all", lambda: flooder.dropped(client)["overflow"] > 0)
            until("new calls are refused", lambda: new_call().get("error-reason") == "Load limit exceeded")
            assert client.ask(command="ping")["result"] == "pong"
            assert all_go_on()
        until("each has a cause", lambda: sum(flooder.dropped(client).values()) == flooder.sent)
        for party in parties:
            load.stop(party)
        until("all are heard", lambda: load.arrivals().received == load.arrivals().sent)
        heard = load.arrivals()
        assert (heard.lost, heard.reordered, heard.duplicated, heard.misdirected, heard.corrupt) == (0, 0, 0, 0, 0)
        counted = [client.ask(command="query", **call.words)["totals"]["RTP"]["packets"] for call in calls]
        assert sum(counted) == heard.sent
        server.end()
        load.close()
        client.close()
