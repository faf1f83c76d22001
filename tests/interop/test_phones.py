"""Two baresip phones talk through mediaha; the media server dies; what they recorded shows what was lost."""

from __future__ import annotations

import signal
import time

import pytest

from tests.peers.baresip import Baresip
from tests.peers.installed import needs
from tests.peers.site import Site

pytestmark = [
    pytest.mark.interop,
    needs("baresip", "baresip-core"),
]


@pytest.fixture
def talking(tmp_path):
    """A caller and a callee in a call through a site of their own."""
    with (
        Baresip("callee", tmp_path, answers=True) as callee,
        Baresip("caller", tmp_path) as caller,
        Site(tmp_path, target=f"127.0.0.1:{callee.port}") as site,
    ):
        site.ready()
        caller.command("dial", f"sip:callee@{site.address}")
        caller.wait_for("CALL_ESTABLISHED")
        callee.wait_for("CALL_ESTABLISHED")
        yield site, caller, callee


def hang_up(site, caller, callee):
    """The caller hangs up; both phones have written their recordings then."""
    assert not caller.has_told("CALL_CLOSED"), caller.log()
    assert not callee.has_told("CALL_CLOSED"), callee.log()
    caller.command("hangup")
    callee.wait_for("CALL_CLOSED")
    site.settled()
    time.sleep(0.2)  # the recording is closed after the event is told, and nothing says when


def test_phones_talk_and_lose_nothing(talking):
    site, caller, callee = talking
    time.sleep(3)
    hang_up(site, caller, callee)
    for heard in (caller.heard(), callee.heard()):
        assert heard.frames > 100, "most of three seconds"
        assert heard.gap_ms <= 60, "a machine under load may make a phone late, but nothing was cut"


@pytest.mark.parametrize("hangs", [False, True], ids=["lost", "hung"])
def test_the_tone_comes_back_at_both_ends_when_the_media_server_is(talking, hangs):
    site, caller, callee = talking
    time.sleep(2)
    carrier = next(server["name"] for server in site.status()["servers"] if server["calls"])
    if hangs:
        site.signal(carrier, signal.SIGSTOP)
    else:
        site.lose(carrier)
    site.wait_until(
        lambda status: any(server["name"] != carrier and server["calls"] for server in status["servers"]),
        "the call moved",
    )
    time.sleep(2)
    if hangs:
        site.signal(carrier, signal.SIGCONT)
    hang_up(site, caller, callee)
    for phone in (caller, callee):
        heard = phone.heard()
        print(f"{phone.name}: {heard.frames} frames, longest gap {heard.gap_ms} ms of {heard.gaps}")
        # A killed process is noticed at once, so the move may fit between two packets; silence takes time to notice.
        assert heard.frames_after_gap > 50 or (heard.gaps == 0 and not hangs), f"heard again: {heard}"
        assert heard.frames > 150, f"most of four seconds: {heard}"
        assert not hangs or heard.gap_ms > 0, f"a hung server cannot go unheard: {heard}"
