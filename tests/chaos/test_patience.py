"""Faults that are only over after half a minute, all at the same time: each of them has a site of its own.

What they share breaks everything first; then each story waits for its own end.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.chaos.parties import ANSWERS, CALLS, IS_TOLD, RINGS, Pair, is_ended, pair
from tests.peers.installed import needs
from tests.peers.mediaserver import MediaServer
from tests.peers.sipp import Sipp, ack_failure, expect, invite, provisional, take
from tests.peers.site import MARK, Site, left_over
from tests.peers.sitefile import CALM, SiteFile, foreign, ours

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(180),
    needs("sipp", "sip-tester"),
]

LONG_S = 60
"""Longer than 64 * T1 (RFC 3261 section 17.1.1.2), and than a call without media is kept."""
CAN_BE_CUT = os.geteuid() == 0 and shutil.which("nft") is not None


@dataclass(frozen=True)
class Story:
    """A site that is broken, and the call that does not know yet."""

    site: Site
    call: Pair


def _someone_says_nothing(folder, stack):
    """The callee does not respond to the re-INVITE that tells it where its media is now."""
    site = stack.enter_context(SiteFile(folder, ours("first"), ours("second"), timings=CALM).serve()).ready()
    callee = [*RINGS, *ANSWERS, take("INVITE"), *is_ended(408, LONG_S)]
    call = stack.enter_context(pair(site, folder, [*CALLS, *IS_TOLD, *is_ended(408, LONG_S)], callee))
    site.wait_until(lambda _: '"event":"connected"' in site.log(), "the call is connected")
    status = site.wait_until(lambda status: any(server["calls"] for server in status["servers"]), "its media server")
    (name,) = (server["name"] for server in status["servers"] if server["calls"])
    site.lose(name)
    return Story(site, call)


def _nothing_comes_back(folder, stack):
    """Both media servers are gone, and nobody starts them again."""
    servers = [stack.enter_context(MediaServer(folder, name)) for name in ("first", "second")]
    listed = [foreign(name, server.ng) for name, server in zip(("first", "second"), servers, strict=True)]
    site = stack.enter_context(SiteFile(folder, *listed, timings=CALM).serve()).ready()
    caller = [*CALLS, *is_ended(503, LONG_S)]
    call = stack.enter_context(pair(site, folder, caller, [*RINGS, *ANSWERS, *is_ended(503, LONG_S)]))
    site.wait_until(lambda _: '"event":"connected"' in site.log(), "the call is connected")
    for server in servers:
        server.hang()  # so that the second does not take the call over while the first dies
    for server in servers:
        server.crash()
    return Story(site, call)


def _a_drill_that_loses_its_calls(folder):
    """Its only media server is cut off for as long as it looks."""
    command = [sys.executable, "-m", "mediaha", "drill", "--calls", "2", "--media", "1", "--fault", "cut", "--json"]
    marked = {**os.environ, MARK: str(folder)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=marked)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """All of it, broken, by name."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("drill", "silent", "gone")}
    with ExitStack() as stack:
        stories = {}
        if CAN_BE_CUT:
            stories["drill"] = stack.enter_context(_a_drill_that_loses_its_calls(folders["drill"]))
        stories["silent"] = _someone_says_nothing(folders["silent"], stack)
        stories["gone"] = _nothing_comes_back(folders["gone"], stack)
        yield stories
    for folder in folders.values():
        assert left_over(folder) == []


def test_without_any_media_server_new_calls_are_sent_elsewhere_and_old_ones_end_with_a_reason(broken, tmp_path):
    site, call = broken["gone"].site, broken["gone"].call
    site.wait_until(lambda status: not status["nets"][0]["taking_calls"], "both are known to be dead")
    sent_elsewhere = [invite(), *provisional(), expect(503, pattern="Retry-After: [0-9]+"), ack_failure()]
    with Sipp(sent_elsewhere, tmp_path, "late", remote=site.address) as late:
        late.wait()
    assert site.calls() == 1, "the old one is kept for a while"
    call.wait(LONG_S)
    site.wait_until(lambda status: status["nets"][0]["calls"] == 0, "no call is left")
    assert site.log().count('"event":"stranded"') == 1


def test_a_party_that_does_not_respond_ends_the_call_and_the_other_is_told_why(broken):
    site, call = broken["silent"].site, broken["silent"].call
    call.wait(LONG_S)
    site.settled()


@pytest.mark.namespace
@pytest.mark.skipif(not CAN_BE_CUT, reason="a drill can only cut a server off as root, with nftables")
def test_a_drill_that_loses_calls_says_so_and_fails(broken):
    output, errors = broken["drill"].communicate(timeout=LONG_S)
    assert broken["drill"].returncode == 1, errors
    report = json.loads(output)
    assert (report["calls"], report["calls_lost"], report["moved_to"]) == (2, 2, {})
    assert report["lost_because"] == {"its audio did not come back": 2}
