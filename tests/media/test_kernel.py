"""The kernel forwards calls over a cable between two hosts, while the media-server process stands still or is dead."""

import socket
import threading
import time

import pytest

from mediaha.load import Load
from tests.media.calls import Client, answers, two_that_talk, until
from tests.media.forwarded import far_server, forwarded_call
from tests.peers import netns, pins
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
DEAD_S = 1.5
ELSEWHERE = (18200, 18299)
TURNS = 20
SAID_MAX = 10_000
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
        answers(server, client)
        (port, _), talking = two_that_talk(load, client, family, near, "call", "strict source")
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


def test_flows_end_with_the_lease_of_a_process_that_never_comes_back_and_any_other_sweeps_up(tmp_path, far):
    """While it runs, servers that begin and die beside it change nothing."""
    with far_server(tmp_path, far) as server:
        call = forwarded_call(server)
        server.crash()
        [left] = pins.folders("far", far.number())
        with far_server(tmp_path, far, "another", ports=ELSEWHERE) as another:
            answers(another, Client(another.ng))
            assert call.is_heard()
            another.crash()
            assert call.is_heard()
            pins.lapse(left)
            assert not call.is_heard(), "its time is over"
            another.start()
            answers(another, Client(another.ng))
            assert not left.exists()
            assert len(pins.folders("another", far.number())) == 1
            another.end()
        assert pins.folders("another", far.number()) == []
        call.end()


def test_a_flow_goes_to_the_process_and_back_and_keeps_its_order_and_its_account(tmp_path, far):
    """Digits are withheld and let through again and again, while packets are on their way."""
    with far_server(tmp_path, far) as server:
        call = forwarded_call(server)
        words = {"call-id": call.call_id, "from-tag": "1"}
        before, said, over = call.number, [], threading.Event()
        speaking = threading.Thread(target=speak, args=(call, said, over))
        speaking.start()
        for _ in range(TURNS):
            for command in ("block DTMF", "unblock DTMF"):
                assert call.client.ask(command=command, **words)["result"] == "ok"
                time.sleep(0.03)
        over.set()
        speaking.join()
        assert call.heard() == said
        until("the kernel forwards again", call.needs_nobody)
        [stream] = call.client.ask(command="query", **words)["tags"]["1"]["medias"][0]["streams"][:1]
        assert stream["stats"]["packets"] == call.number, (before, len(said))
        assert not any(stream["dropped"].values())

        call.client.ask(command="delete", **words, **{"delete-delay": 0})
        until("the ports are closed", lambda: not call.is_heard())
        assert not call.needs_nobody(), "nor does the kernel forward anything after that"
        server.end()


def speak(call, said, over):
    """Without a pause that anybody could change places in unseen."""
    while not over.is_set() and len(said) < SAID_MAX:
        said.append(call.words())
        call.parties[0].sendto(said[-1], call.port)
        time.sleep(0.0005)
