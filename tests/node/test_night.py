"""A person on call looks at night: which server is how full, what is dropped and refused, since when, and why."""

import json

import pytest

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


@pytest.fixture
def site(tmp_path):
    with SiteFile(tmp_path, ours("media-1", sessions_max=1)).serve() as running:
        yield running.ready()


def test_what_is_lost_is_shown_with_its_cause_and_since_when(site):
    before = site.server("media-1")
    assert (before["busy_percent_max"], before["sessions_max"], before["refuses"]) == (90.0, 1, None)
    assert before["busy_percent"] <= 100
    assert before["expected_percent"] <= 100
    assert not (before["refused"])
    assert not (before["dropped"])

    client = NgClient(before["ng"])
    caller, callee, stranger = (RtpEndpoint(ssrc) for ssrc in (1, 2, 3))
    names = {"call-id": "one", "from-tag": "a"}
    client.ask(command="offer", sdp=sdp(caller), **names)
    answer = client.ask(command="answer", sdp=sdp(callee), **names, **{"to-tag": "b"})
    told = ("127.0.0.1", int(answer["sdp"].partition("m=audio ")[2].split()[0]))

    def flooded(status):
        """Each time it is asked: the caller is the one who is believed, and then comes a stranger."""
        caller.send(told)
        for _ in range(20):
            stranger.send(told)
        strangers = growth(status["servers"][0]["dropped"], "stranger")
        return strangers is not None and strangers["per_s"] > 0 and strangers["count"] > 100

    status = site.wait_until(flooded, "a stranger's packets are dropped, and go on to be")
    strangers = growth(status["servers"][0]["dropped"], "stranger")
    assert strangers["since"] <= strangers["last"]
    assert strangers["for_s"] > 0
    assert strangers["ago_s"] >= 0

    refused = client.ask(command="offer", sdp=sdp(callee), **{"call-id": "two", "from-tag": "c"})
    assert refused["error-reason"] == "Parallel session limit reached"
    now = site.server("media-1")
    assert now["refuses"] == "it has as many calls as it may have"
    assert growth(now["refused"], "sessions")["count"] == 1

    shown = site.ask("status").stdout
    assert "of 90 %" in shown
    assert "media-1 refuses new calls now: it has as many calls as it may have" in shown
    assert "packets: stranger" in shown
    assert "came from an address that is no party's" in shown
    assert "calls: sessions" in shown
    assert json.loads(site.ask("status", "--json").stdout)["servers"][0]["refuses"] == now["refuses"]

    client.ask(command="delete", **names)
    site.wait_until(lambda status: status["servers"][0]["refuses"] is None, "there is room again")
    kept = growth(site.server("media-1")["dropped"], "stranger")
    assert kept["count"] >= strangers["count"], "what an ended call lost stays in the sums"
    client.close()


def test_why_nets_takes_no_calls_is_said(site):
    site.ask("drain", "media-1")
    status = site.wait_until(lambda status: not status["nets"][0]["taking_calls"], "no calls are taken")
    assert status["nets"][0]["refuses"] == "503 No Media Server"
    assert "takes no calls now, and answers 503 No Media Server" in site.ask("status").stdout
