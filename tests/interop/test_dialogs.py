"""What else the parties of a call say to each other, with SIPp on both sides: a line of pytest for each behaviour."""

from __future__ import annotations

import re

import pytest

from tests.interop.test_calls import HANGS_UP, IS_HUNG_UP, RINGS_AND_ANSWERS, told
from tests.peers.installed import needs
from tests.peers.ports import free_udp_port
from tests.peers.rtp import RtpEndpoint, talk
from tests.peers.sipp import (
    Sipp,
    ack_failure,
    callee_request,
    cancel,
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

UNCHECKED = {"check_s": 0}
TRUNKS = {
    "pbx": UNCHECKED,
    "stranger": {**UNCHECKED, "trusted": False},
    "follows": {**UNCHECKED, "redirects": "follow"},
    "calling": UNCHECKED,
}
IDENTITY = 'P-Asserted-Identity: "Ann" <sip:ann@pbx.test>\nDiversion: <sip:boss@pbx.test>;reason=no-answer\n'


@pytest.fixture(scope="module")
def ports():
    return {name: free_udp_port() for name in TRUNKS}


@pytest.fixture(scope="module")
def site(tmp_path_factory, ports):
    trunks = {name: {"targets": [f"127.0.0.1:{ports[name]}"], **trunk} for name, trunk in TRUNKS.items()}
    lists = dict.fromkeys(TRUNKS, ("one", "two"))
    folder = tmp_path_factory.mktemp("site")
    file = SiteFile(folder, ours("one"), ours("two"), timings=CALM, trunks=trunks, lists=lists)
    with file.serve() as running:
        yield running.ready()


@pytest.fixture
def place(site, ports, tmp_path):
    """A call to the domain ``to``, from the place of the trunk ``calling``; further callees by their names."""

    def placed(caller, to="pbx", **callees):
        parties = [Sipp(steps, tmp_path, name, port=ports[name]) for name, steps in callees.items()]
        parties.append(Sipp(calls(to, caller), tmp_path, "caller", port=ports["calling"], remote=site.address))
        try:
            for party in parties:
                party.wait()
            site.settled()
        finally:
            for party in parties:
                party.stop()
        return parties

    return placed


def calls(to, steps, **headers):
    """The steps of a caller; when they do not begin with an INVITE of their own, it is connected first."""
    own = "INVITE sip" in steps[0].xml
    return steps if own else [invite(host=to), *provisional(), expect(200), request("ACK"), *steps]


ANSWERS = [*RINGS_AND_ANSWERS, *IS_HUNG_UP]


@pytest.mark.parametrize("method", ["INFO", "MESSAGE"])
def test_what_one_says_the_other_hears(place, method):
    hears = [take(method, pattern="m=audio"), respond_in_dialog(200, "OK")]
    says = [request(method, "sendrecv"), expect(200), *HANGS_UP]
    place(says, pbx=[*RINGS_AND_ANSWERS, *hears, *IS_HUNG_UP])


def test_the_callee_says_something_and_it_is_not_understood(place):
    says = [pause(100), callee_request("INFO", "sendrecv"), expect(415)]
    hears = [take("INFO"), respond_in_dialog(415, "Unsupported Media Type"), pause(100), *HANGS_UP]
    place(hears, pbx=[*RINGS_AND_ANSWERS, *says, *IS_HUNG_UP])


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("OPTIONS"), 200),
        (request("PUBLISH"), 405),
        (request("NOTIFY", headers="Event: x\n"), 405),
        (request("FROBNICATE"), 501),
        (request("INFO", headers="Require: frobnication\n"), 420),
        (request("REFER"), 400),
    ],
    ids=["options", "publish", "notify", "unknown", "require", "refer"],
)
def test_inside_a_call_nets_itself_answers(place, asked, status):
    place([asked, expect(status), *HANGS_UP], pbx=ANSWERS)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Require: frobnication\n", 420),
        ("Accept: text/plain\n", 406),
        ("Content-Encoding: gzip\n", 415),
        ("Session-Expires: 30\nSupported: timer\n", 422),
    ],
    ids=["require", "accept", "encoding", "timer"],
)
def test_a_call_that_cannot_be_taken_is_refused_with_the_reason(place, headers, status):
    place([invite(host="pbx", headers=headers), *provisional(), expect(status), ack_failure()])


def test_headers_that_nobody_knows_harm_nobody(place):
    caller = [invite(host="pbx", headers="X-Unknown: 1\nFrobnicate: yes\n"), *provisional(), expect(200)]
    place([*caller, request("ACK"), *HANGS_UP], pbx=ANSWERS)


REASON = 'Reason: Q.850;cause=16;text="bye for now"\n'


def test_the_reason_of_a_bye_reaches_the_other_party(place):
    callee = [*RINGS_AND_ANSWERS, take("BYE", pattern="Q.850;cause=16"), respond_in_dialog(200, "OK")]
    place([pause(100), request("BYE", headers=REASON), expect(200)], pbx=callee)


def test_and_that_of_the_callee(place):
    caller = [take("BYE", pattern="Q.850;cause=16"), respond_in_dialog(200, "OK")]
    place(caller, pbx=[*RINGS_AND_ANSWERS, pause(100), callee_request("BYE", headers=REASON), expect(200)])


def test_the_reason_of_a_refusal_reaches_the_caller(place):
    callee = [take("INVITE"), respond(480, "Away", headers=REASON), take("ACK")]
    place([invite(host="pbx"), *provisional(), expect(480, pattern="Q.850;cause=16"), ack_failure()], pbx=callee)


def test_a_trusted_target_learns_who_calls_and_what_is_wished(place):
    callee = [take("INVITE", pattern="ann@pbx.test"), *RINGS_AND_ANSWERS[1:], *IS_HUNG_UP]
    headers = f"{IDENTITY}Privacy: id\n"
    *_, caller = place([invite(host="pbx", headers=headers), *_connected(), *HANGS_UP], pbx=callee)
    assert caller


def _connected():
    return [*provisional(), expect(200), request("ACK")]


def test_a_stranger_learns_nothing_that_the_caller_keeps(place):
    callee = [take("INVITE", pattern="anonymous.invalid"), *RINGS_AND_ANSWERS[1:], *IS_HUNG_UP]
    caller = [invite(host="stranger", headers=f"{IDENTITY}Privacy: id\n"), *_connected(), *HANGS_UP]
    stranger, _ = place(caller, to="stranger", stranger=callee)
    assert "ann@pbx.test" not in stranger.messages()
    assert "boss@pbx.test" not in stranger.messages()


def test_a_call_that_is_sent_on_goes_back_to_the_caller(place):
    callee = [take("INVITE"), respond(302, "Moved Temporarily", contact="<sip:x@192.0.2.9>"), take("ACK")]
    place([invite(host="pbx"), *provisional(), expect(302, pattern="sip:x@192.0.2.9"), ack_failure()], pbx=callee)


def test_a_call_that_is_sent_on_is_followed_to_another_domain(place):
    first = [take("INVITE"), respond(302, "Moved Temporarily", contact="<sip:sue@pbx>"), take("ACK")]
    second = [take("INVITE", pattern="INVITE sip:sue@"), *RINGS_AND_ANSWERS[1:], *IS_HUNG_UP]
    place([invite(host="follows"), *_connected(), *HANGS_UP], to="follows", follows=first, pbx=second)


def test_the_caller_takes_it_back_and_says_why(place):
    caller = [invite(host="pbx"), expect(100, optional=True), expect(180), pause(100), cancel(), expect(200)]
    terminated = [respond(487, "Request Terminated", cseq="CSeq: 1 INVITE"), take("ACK")]
    callee = [take("INVITE"), respond(180, "Ringing"), take("CANCEL"), respond(200, "OK"), *terminated]
    place([*caller, expect(487), ack_failure()], pbx=callee)


def test_digits_pass_as_rtp_events(site, ports, tmp_path):
    """RFC 4733: three packets at the end of a digit, the marker on the first, the same timestamp in all."""
    mine, theirs = RtpEndpoint(ssrc=0xA), RtpEndpoint(ssrc=0xB)
    callee = Sipp(ANSWERS, tmp_path, "callee", port=ports["pbx"], rtp_port=theirs.port)
    steps = calls("pbx", [pause(3000), *HANGS_UP])
    caller = Sipp(steps, tmp_path, "caller", port=ports["calling"], remote=site.address, rtp_port=mine.port)
    with callee, caller:
        there, back = told(caller, site)[-1], told(callee, site)[0]
        talk([(mine, there), (theirs, back)], 10)
        for number in range(5):
            mine.press(there, "5", first=number == 0, end=number >= 2)
        talk([(mine, there), (theirs, back)], 10)
        caller.wait()
        callee.wait()
    events = theirs.events
    assert [packet.digit for packet in events] == ["5"] * 5
    assert [packet.marker for packet in events] == [True] + [False] * 4
    assert [packet.end for packet in events] == [False, False, True, True, True]
    assert len({packet.timestamp for packet in events}) == 1
    site.settled()


def test_two_sites_that_point_at_each_other_end_a_call_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = SiteFile(tmp_path / "a", ours("one"), timings=CALM)
    two = SiteFile(tmp_path / "b", ours("one"), timings=CALM)
    one.targets["*"], two.targets["*"] = two._port, one._port
    for file in (one, two):
        file.write({"*": ["one"]})
    with one.serve() as first, two.serve() as second:
        first.ready()
        second.ready()
        steps = [invite(), *provisional(), expect(482), ack_failure()]
        with Sipp(steps, tmp_path, "caller", remote=first.address) as caller:
            caller.wait()
        first.settled()
        second.settled()
        assert len(re.findall('"event":"invited"', first.log() + second.log())) <= 3
