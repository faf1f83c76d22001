"""A person on call looks at night: which server is how full, what is dropped and refused, since when, and why."""

import json

import pytest

from mediaha.cli.render import CAUSES, WANTING
from tests.peers.ng import NgClient
from tests.peers.rtp import RtpEndpoint
from tests.peers.sitefile import SiteFile, ours


def sdp(party):
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {party.port} RTP/AVP 8\r\na=rtcp-mux\r\n"
    )


def growth(found, what):
    """One of what was counted; nothing when it was not."""
    return next((one for one in found if one["what"] == what), None)


def told(site, what="it answers", true=lambda server: True):
    """What the server says of itself, once that is true; on a busy machine it may be late at times."""

    def said(status):
        server = status["servers"][0]
        return server["busy_percent"] is not None and true(server)

    return site.wait_until(said, what, 60)["servers"][0]


@pytest.fixture
def site(tmp_path):
    with SiteFile(tmp_path, ours("media-1", sessions_max=1)).serve() as running:
        yield running.ready()


def test_what_is_lost_and_refused_is_shown_with_its_cause_and_since_when(site):
    before = told(site)
    assert (before["busy_percent_max"], before["sessions_max"], before["refuses"]) == (90.0, 1, None)
    assert before["busy_percent"] <= 100
    assert before["expected_percent"] <= 100
    assert (before["refused"], before["dropped"]) == ([], [])

    client = NgClient(before["ng"])
    counted = client.ask(command="statistics")["statistics"]
    assert set(counted["dropped"]) == set(CAUSES), "a person is told what each cause means"
    assert set(counted["refusedcalls"]) == set(WANTING)
    caller, callee, stranger = (RtpEndpoint(ssrc) for ssrc in (1, 2, 3))
    names = {"call-id": "one", "from-tag": "a"}
    client.ask(command="offer", sdp=sdp(caller), **names)
    answer = client.ask(command="answer", sdp=sdp(callee), **names, **{"to-tag": "b"})
    port = ("127.0.0.1", int(answer["sdp"].partition("m=audio ")[2].split()[0]))

    def flooded(server):
        """Each time it is asked: the caller is the one who is believed, and then comes a stranger."""
        caller.send(port)
        for _ in range(20):
            stranger.send(port)
        strangers = growth(server["dropped"], "stranger")
        return strangers is not None and strangers["per_s"] > 0 and strangers["count"] > 100

    strangers = growth(told(site, "a stranger's packets are dropped, and go on to be", flooded)["dropped"], "stranger")
    assert strangers["since"] <= strangers["last"]
    assert strangers["for_s"] > 0
    assert strangers["ago_s"] >= 0

    refused = client.ask(command="offer", sdp=sdp(callee), **{"call-id": "two", "from-tag": "c"})
    assert refused["error-reason"] == "Parallel session limit reached"
    now = told(site)
    assert now["refuses"] == "it has as many calls as it may have"
    assert growth(now["refused"], "sessions")["count"] == 1

    shown = next(text for _ in range(20) if "of 90 %" in (text := site.ask("status").stdout))
    assert "media-1 refuses new calls now: it has as many calls as it may have" in shown
    assert "packets: stranger" in shown
    assert "came from an address that is no party's" in shown
    assert "calls: sessions" in shown
    assert json.loads(site.ask("status", "--json").stdout)["servers"][0]["name"] == "media-1"

    client.ask(command="delete", **names)
    kept = growth(told(site, "there is room again", lambda server: server["refuses"] is None)["dropped"], "stranger")
    assert kept["count"] >= strangers["count"], "what an ended call lost stays in the sums"
    client.close()

    site.ask("drain", "media-1")
    site.wait_until(lambda status: status["nets"][0]["refuses"] == "503 No Media Server", "no calls are taken")
    assert "takes no calls now, and answers 503 No Media Server" in site.ask("status").stdout
