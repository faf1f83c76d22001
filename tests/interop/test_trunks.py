"""Trunks with SIPp at their ends: which target gets a call, what is believed of each, and what a person is shown."""

from __future__ import annotations

import itertools
import re
import socket
import time

import pytest

from tests.interop.test_calls import HANGS_UP, IS_HUNG_UP, RINGS_AND_ANSWERS
from tests.peers.installed import needs
from tests.peers.ports import free_udp_port
from tests.peers.sipp import (
    Sipp,
    ack_failure,
    checked,
    expect,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)
from tests.peers.sitefile import CALM, SiteFile, ours

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester")]

CALLS_ONLY = {"check_s": 0, "try_s_max": 1.5}
"""Nobody asks; only calls tell."""
WATCHED = {"check_s": 3, "suspect_check_s": 0.2, "try_s_max": 1, "down_after": 3, "up_after": 2}
TRUNKS = {
    "silent": CALLS_ONLY,
    "closed": CALLS_ONLY,
    "unavailable": CALLS_ONLY,
    "configured": {**CALLS_ONLY, "failures": [503, 500]},
    "busy": CALLS_ONLY,
    "declined": CALLS_ONLY,
    "lonely": CALLS_ONLY,
    "watched": WATCHED,
    "quick": {**WATCHED, "check_s": 60, "down_after": 6},
    "keeps": WATCHED,
    "ends": {**WATCHED, "when_down": "end"},
}
ANSWERS = [*RINGS_AND_ANSWERS, *IS_HUNG_UP]
ALWAYS = {"calls": 100_000}
"""For a party that is there for as long as the test wants."""


@pytest.fixture(scope="module")
def ports():
    """Two ports for each trunk: the primary and the secondary of one machine."""
    return {name: (free_udp_port(), free_udp_port()) for name in TRUNKS}


@pytest.fixture(scope="module")
def site(tmp_path_factory, ports):
    """A site with a trunk, and a domain, for each of the stories."""
    trunks = {
        name: {"targets": [f"127.0.0.1:{port}" for port in ports[name]], **trunk} for name, trunk in TRUNKS.items()
    }
    file = SiteFile(
        tmp_path_factory.mktemp("site"),
        ours("one"),
        timings=CALM,
        trunks=trunks,
        lists=dict.fromkeys(TRUNKS, ("one",)),
    )
    with file.serve() as running:
        yield running.ready()


def calls(domain, *, status=200):
    """A caller of the domain: connected and hanging up, or refused with a status."""
    begin = [invite(host=domain), *provisional(), expect(status)]
    return [*begin, ack_failure()] if status >= 300 else [*begin, request("ACK"), pause(100), *HANGS_UP]


def refuses(status, reason):
    return [take("INVITE"), respond(status, reason), take("ACK")]


def place(site, tmp_path, domain, steps):
    """A call with these steps; gives what `explain` says of it."""
    with Sipp(steps, tmp_path, "caller", remote=site.address) as caller:
        caller.wait()
        (call_id,) = set(re.findall(r"^Call-ID: (\S+)", caller.messages(), re.MULTILINE))
    # An INVITE that nobody has ever answered is outstanding for 32 s (Timer B), and with it the call.
    site.wait_until(lambda _: site.explain(call_id)["state"] in {"ending", "over"}, "the end of the call")
    return site.explain(call_id)


def walk(story):
    """What became of each target in its turn: where it is, and what was noted of it."""
    turns = ("passed over", "answered", "turned down")
    return [
        (int(event["target"].split(" ")[1].rpartition(":")[2]), event["what"], event.get("why") or event.get("answer"))
        for event in story["events"]
        if event["what"] in turns
    ]


def targets(site, trunk):
    """What `status` says of a trunk's targets."""
    (nets,) = site.status()["nets"]
    return [target for target in nets["targets"] if target["trunk"] == trunk]


def until(site, trunk, *states):
    """Wait until the targets of a trunk are thus; gives what `status` says of them."""
    site.wait_until(lambda _: [one["state"] for one in targets(site, trunk)] == list(states), f"{trunk}: {states}")
    return targets(site, trunk)


class Silence:
    """An open port at which nobody says anything; it keeps when something came."""

    def __init__(self, port):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))

    def next(self):
        """The next message: its first line, and when it came."""
        self._socket.settimeout(20)
        return self._socket.recv(65535).decode().partition("\r\n")[0], time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


# Who gets a call


def test_a_silent_primary_is_left_after_the_time_for_a_try_and_is_last_from_then_on(site, tmp_path, ports):
    primary, secondary = ports["silent"]
    with Silence(primary), Sipp(ANSWERS, tmp_path, "secondary", port=secondary, **ALWAYS):
        first = place(site, tmp_path, "silent", calls("silent"))
        second = place(site, tmp_path, "silent", calls("silent"))
    assert walk(first) == [(primary, "passed over", "no response in 1.5 s"), (secondary, "answered", None)]
    passed = next(event for event in first["events"] if event["what"] == "passed over")
    assert 1500 <= passed["took_ms"] < 16_000, "far below the 32 s of Timer B"
    assert walk(second) == [(secondary, "answered", None)], "known beforehand"
    assert second["targets"] == [
        f"silent 127.0.0.1:{secondary}",
        f"silent 127.0.0.1:{primary} (suspect: no response in 1.5 s)",
    ]
    shown = site.ask("explain", first["call_ids"][0]).stdout
    assert re.search(
        rf"passed over +target silent 127.0.0.1:{primary}, why no response in 1.5 s, took [\d.]+ ms", shown
    )


def test_a_closed_port_is_left_at_once(site, tmp_path, ports):
    primary, secondary = ports["closed"]
    with Sipp(ANSWERS, tmp_path, "secondary", port=secondary, **ALWAYS):
        story = place(site, tmp_path, "closed", calls("closed"))
    assert walk(story) == [(primary, "passed over", "unreachable"), (secondary, "answered", None)]


@pytest.mark.parametrize(
    ("trunk", "status", "reason"), [("unavailable", 503, "Service Unavailable"), ("configured", 500, "Server Error")]
)
def test_what_means_that_it_cannot_take_calls_sends_them_on(site, tmp_path, ports, trunk, status, reason):
    primary, secondary = ports[trunk]
    with (
        Sipp(refuses(status, reason), tmp_path, "primary", port=primary) as refused,
        Sipp(ANSWERS, tmp_path, "secondary", port=secondary) as answered,
    ):
        story = place(site, tmp_path, trunk, calls(trunk))
        refused.wait()
        answered.wait()
    assert walk(story) == [(primary, "passed over", f"answered {status}"), (secondary, "answered", None)]


@pytest.mark.parametrize(("trunk", "status", "reason"), [("busy", 486, "Busy Here"), ("declined", 603, "Decline")])
def test_busy_and_declined_are_the_callees_answer(site, tmp_path, ports, trunk, status, reason):
    primary, _ = ports[trunk]
    with Sipp(refuses(status, reason), tmp_path, "primary", port=primary) as refused:
        story = place(site, tmp_path, trunk, calls(trunk, status=status))
        refused.wait()
    assert walk(story) == [(primary, "turned down", f"{status} {reason}")]
    assert targets(site, trunk)[0]["state"] == "up", "it has answered"


def test_when_no_target_takes_it_the_caller_is_told_that_there_is_no_way(site, tmp_path, ports):
    story = place(site, tmp_path, "lonely", calls("lonely", status=503))
    assert walk(story) == [(port, "passed over", "unreachable") for port in ports["lonely"]]


# Whether a target is there


def test_a_target_that_is_gone_is_down_and_has_to_answer_twice_until_it_is_up_again(site, tmp_path, ports):
    primary, secondary = ports["watched"]
    with Sipp(checked(ANSWERS), tmp_path, "secondary", port=secondary, **ALWAYS):
        with Sipp(checked(ANSWERS), tmp_path, "primary", port=primary, **ALWAYS):
            until(site, "watched", "up", "up")
            assert walk(place(site, tmp_path, "watched", calls("watched"))) == [(primary, "answered", None)]
        down = until(site, "watched", "down", "up")[0]
        assert down["why"].startswith("unreachable")
        story = place(site, tmp_path, "watched", calls("watched"))
        assert walk(story) == [(secondary, "answered", None)], "without trying the primary"
        assert "(down: unreachable" in story["targets"][1]
        shown = site.ask("status").stdout
        assert re.search(rf"watched +127.0.0.1:{primary} +down +\S+ s +unreachable", shown)
        with Sipp(checked(ANSWERS), tmp_path, "again", port=primary, **ALWAYS) as again:
            until(site, "watched", "up", "up")
            site.wait_until(lambda _: again.messages().count("\nOPTIONS ") >= WATCHED["up_after"], "two checks")
            assert walk(place(site, tmp_path, "watched", calls("watched"))) == [(primary, "answered", None)]


def test_a_target_in_doubt_is_asked_more_often(site, ports):
    """Every minute while it is well; each second and a fifth while it is silent: a try, and the pause after it."""
    with Silence(ports["quick"][0]) as silence:
        checks = []
        while len(checks) < 4:
            line, at = silence.next()
            if line.startswith("OPTIONS"):
                checks.append(at)
    # What is not answered is sent again, so there is more than one message to a check; none is a minute later.
    assert all(after - before < 30 for before, after in itertools.pairwise(checks))


# Calls that are there when a target goes down


def place_when_up(site, tmp_path, trunk, steps):
    """A caller, once the trunk's primary is believed to be up."""
    until(site, trunk, "up", "down")
    return Sipp(steps, tmp_path, "caller", remote=site.address)


def test_a_call_goes_on_while_its_target_is_down_and_ends_as_the_caller_wants(site, tmp_path, ports):
    hangs_up = [invite(host="keeps"), *provisional(), expect(200), request("ACK"), pause(1000), *HANGS_UP]
    with (
        Sipp(checked(ANSWERS), tmp_path, "primary", port=ports["keeps"][0], **ALWAYS) as primary,
        place_when_up(site, tmp_path, "keeps", hangs_up) as caller,
    ):
        site.wait_until(lambda _: "\nACK " in primary.messages(), "the call")
        caller.freeze()
        primary.freeze()
        until(site, "keeps", "down", "down")
        assert site.calls() == 1
        primary.thaw()
        caller.thaw()
        caller.wait()
        until(site, "keeps", "up", "down")


def test_a_call_ends_with_its_target_where_that_is_wanted(site, tmp_path, ports):
    is_ended = [take("BYE", pattern="Trunk ends is down"), respond_in_dialog(200, "OK")]
    caller_waits = [invite(host="ends"), *provisional(), expect(200), request("ACK"), *is_ended]
    with (
        Sipp(checked(ANSWERS), tmp_path, "primary", port=ports["ends"][0], **ALWAYS) as primary,
        place_when_up(site, tmp_path, "ends", caller_waits) as caller,
    ):
        site.wait_until(lambda _: "\nACK " in primary.messages(), "the call")
        primary.freeze()
        caller.wait()
        primary.thaw()
