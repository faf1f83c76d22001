"""More packets than the core can take: none is late without end, each loss is counted, the server stays reachable."""

import re
import time

import pytest

from mediaha.load import Load
from tests.peers.mediaserver import MediaServer
from tests.peers.ng import NgClient

PATIENCE_S = 60.0
CALLS = 40
PTIME_MS = 10
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

    def __init__(self, load, client, number):
        self._load = load
        self.words = {"call-id": f"call-{number}", "from-tag": "a"}
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
        load = Load(ptime_ms=PTIME_MS, gap_ms_min=1000)
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
            accounted_for = all(call.dropped(client) == call.lost() for call in calls)
            for party in parties:
                load.start(party)
            return accounted_for

        until("each lost packet is counted for its stream", is_accounted_for)
        until("new calls are taken again", lambda: new_call()["result"] == "ok")
        heard = load.arrivals()
        assert (heard.reordered, heard.duplicated, heard.misdirected, heard.corrupt) == (0, 0, 0, 0)
        load.close()
        client.close()
