"""Session timers with SIPp on both sides, at an interval of seconds: who refreshes, and who is missed."""

from __future__ import annotations

import pytest

from tests.interop.test_calls import HANGS_UP, IS_HUNG_UP, RINGS_AND_ANSWERS
from tests.peers.installed import needs
from tests.peers.sipp import (
    Sipp,
    ack_failure,
    expect,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)
from tests.peers.sitefile import QUICK, SiteFile, ours

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester")]

TIMER = "Supported: timer\nSession-Expires: 4;refresher=uac\n"
PATIENT = "Session-Expires: 60;refresher=uas\n"
BY_US = "Require: timer\nSession-Expires: 4;refresher=uac\n"
CALLS = [
    invite(headers=TIMER),
    *provisional(),
    expect(200, pattern="Session-Expires: 4;refresher=uac"),
    request("ACK"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site whose sessions last four seconds."""
    timings = {"session_s": 4, "session_s_min": 2, **QUICK}
    file = SiteFile(tmp_path_factory.mktemp("site"), ours("one"), ours("two"), timings=timings)
    with file.serve() as running:
        yield running.ready()


def place(site, tmp_path, caller, callee):
    with (
        Sipp(callee, tmp_path, "callee", port=site.target_port) as called,
        Sipp(caller, tmp_path, "caller", remote=site.address) as calling,
    ):
        calling.wait()
        called.wait()
        site.settled()


def answers(headers=""):
    return [take("INVITE", pattern="Session-Expires: 4"), respond(200, "OK", "sendrecv", headers=headers), take("ACK")]


def test_a_caller_that_does_not_refresh_is_hung_up_and_so_is_the_callee(site, tmp_path):
    caller = [*CALLS, take("BYE", pattern="expired"), respond_in_dialog(200, "OK")]
    callee = [*answers(PATIENT), take("BYE", pattern="expired"), respond_in_dialog(200, "OK")]
    place(site, tmp_path, caller, callee)


def test_a_caller_that_refreshes_stays_and_the_callee_hears_nothing_of_it(site, tmp_path):
    refresh = [request("UPDATE", headers=TIMER), expect(200, pattern="Session-Expires: 4;refresher=uac")]
    caller = [*CALLS, *[pause(1500), *refresh] * 4, *HANGS_UP]
    callee = [*answers(PATIENT), *IS_HUNG_UP]
    place(site, tmp_path, caller, callee)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_the_callee_is_refreshed_by_us(site, tmp_path, method):
    ours_is = take(method, pattern="Session-Expires: 4;refresher=uac")
    callee = answers(f"Allow: INVITE, ACK, BYE, {method}\n{BY_US}")
    for _ in range(2):
        body = "sendrecv" if method == "INVITE" else None
        callee += [ours_is, respond_in_dialog(200, "OK", body, headers=BY_US)]
        callee += [take("ACK")] if method == "INVITE" else []
    caller = [invite(), *provisional(), expect(200), request("ACK"), *probed(), pause(500), *HANGS_UP]
    place(site, tmp_path, caller, [*callee, *IS_HUNG_UP])


def probed():
    """What a party that knows no session timer hears: whether it is still there, every two seconds."""
    return [take("OPTIONS"), respond_in_dialog(200, "OK")] * 2


def test_a_callee_that_is_gone_without_a_word_ends_the_call(site, tmp_path):
    """SIPp ends after the ACK; its port is closed when NeTS asks whether it is there."""
    caller = [*CALLS, take("BYE", pattern="cannot be reached"), respond_in_dialog(200, "OK")]
    place(site, tmp_path, caller, RINGS_AND_ANSWERS)


def test_too_small_an_interval_is_refused_in_both_directions(site, tmp_path):
    refused = [
        invite(headers="Supported: timer\nSession-Expires: 1\n"),
        *provisional(),
        expect(422, pattern="Min-SE: 2"),
    ]
    with Sipp([*refused, ack_failure()], tmp_path, "hasty", remote=site.address) as calling:
        calling.wait()
    callee = [
        *[take("INVITE"), respond(422, "Session Interval Too Small", headers="Min-SE: 90\n"), take("ACK")],
        *[take("INVITE", pattern="Session-Expires: 90"), respond(200, "OK", "sendrecv"), take("ACK"), *IS_HUNG_UP],
    ]
    place(site, tmp_path, [invite(), *provisional(), expect(200), request("ACK"), pause(200), *HANGS_UP], callee)
