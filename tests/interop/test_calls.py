"""SIPp calls SIPp through NeTS: what parties of a call do to each other, without any fault of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.peers.installed import needs
from tests.peers.rtp import RtpEndpoint, audio_addresses, talk
from tests.peers.sipp import (
    Sipp,
    Step,
    ack_failure,
    callee_request,
    cancel,
    expect,
    ignore,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)

pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
]

RINGS_AND_ANSWERS = [take("INVITE"), respond(180, "Ringing"), respond(200, "OK", "sendrecv"), take("ACK")]
IS_HUNG_UP = [take("BYE"), respond_in_dialog(200, "OK")]
CALLS = [invite(), *provisional(), expect(200, pattern="m=audio"), request("ACK")]
HANGS_UP = [request("BYE"), expect(200)]


def place(site, tmp_path, caller, callee, **options):
    """One or more calls from a caller's steps to a callee's; both must go as written, and nothing may be left over."""
    with (
        Sipp(callee, tmp_path, "callee", port=site.target_port, **options) as called,
        Sipp(caller, tmp_path, "caller", remote=site.address, **options) as calling,
    ):
        calling.wait()
        called.wait()
        site.settled()
        return calling, called


def told(phone, site):
    """The media addresses in the SDP that a SIPp has sent and received, once there are two: SIPp writes late."""
    site.wait_until(lambda _: len(audio_addresses(phone.messages())) >= 2, f"offer and answer at the {phone.name}")
    return audio_addresses(phone.messages())


def test_a_call_is_set_up_and_ended_by_the_caller(site, tmp_path):
    place(site, tmp_path, [*CALLS, pause(200), *HANGS_UP], [*RINGS_AND_ANSWERS, *IS_HUNG_UP])


def test_a_call_is_ended_by_the_callee(site, tmp_path):
    callee = [*RINGS_AND_ANSWERS, pause(200), callee_request("BYE"), expect(200)]
    place(site, tmp_path, [*CALLS, *IS_HUNG_UP], callee)


def test_audio_goes_both_ways_through_the_media_server_and_nowhere_else(site, tmp_path):
    caller_audio, callee_audio = RtpEndpoint(ssrc=0xA), RtpEndpoint(ssrc=0xB)
    callee = Sipp(
        [*RINGS_AND_ANSWERS, *IS_HUNG_UP], tmp_path, "callee", port=site.target_port, rtp_port=callee_audio.port
    )
    caller = Sipp(
        [*CALLS, pause(4000), *HANGS_UP], tmp_path, "caller", remote=site.address, rtp_port=caller_audio.port
    )
    with callee, caller:
        told_caller = told(caller, site)[-1]
        told_callee = told(callee, site)[0]
        talk([(caller_audio, told_caller), (callee_audio, told_callee)], 50)
        caller.wait()
        callee.wait()
    for audio in (caller_audio, callee_audio):
        audio.listen()  # the last ones may still have been on their way
    assert {ssrc for ssrc, _, _ in callee_audio.heard} == {0xA}
    assert {ssrc for ssrc, _, _ in caller_audio.heard} == {0xB}
    assert {source for _, _, source in callee_audio.heard} == {told_callee}, "heard from where it was told to send"
    assert {source for _, _, source in caller_audio.heard} == {told_caller}
    for heard in (caller_audio.heard, callee_audio.heard):
        numbers = [sequence for _, sequence, _ in heard]
        assert numbers == sorted(numbers), "in order"
        assert len(numbers) >= 49, "at most the first is lost, to the other side's set-up"
    site.settled()


def test_the_caller_gives_up_while_it_rings(site, tmp_path):
    caller = [invite(), expect(100, optional=True), expect(180), pause(100), cancel(), expect(200), expect(487)]
    callee = [take("INVITE"), respond(180, "Ringing"), take("CANCEL"), respond(200, "OK"), *_terminated()]
    place(site, tmp_path, [*caller, ack_failure()], callee)


def _terminated():
    """The callee's 487 to the INVITE that was cancelled: its CSeq is no longer that of the last request."""
    return [respond(487, "Request Terminated", cseq="CSeq: 1 INVITE"), take("ACK")]


@pytest.mark.parametrize(
    ("status", "reason"), [(486, "Busy Here"), (603, "Decline"), (404, "Not Found"), (480, "Temporarily Unavailable")]
)
def test_what_the_callee_says_no_with_reaches_the_caller(site, tmp_path, status, reason):
    callee = [take("INVITE"), respond(180, "Ringing"), respond(status, reason), take("ACK")]
    place(site, tmp_path, [invite(), *provisional(), expect(status), ack_failure()], callee)


def test_early_media_is_announced_with_the_media_servers_address(site, tmp_path):
    callee = [take("INVITE"), respond(183, "Session Progress", "sendrecv"), pause(300), respond(200, "OK", "sendrecv")]
    caller = [invite(), expect(100, optional=True), expect(183, pattern="m=audio"), expect(200), request("ACK")]
    calling, called = place(
        site, tmp_path, [*caller, pause(100), *HANGS_UP], [*callee, take("ACK"), *IS_HUNG_UP], rtp_port=6000
    )
    assert ("127.0.0.1", 6000) not in audio_addresses(calling.messages())[1:], "never the callee's own"
    assert ("127.0.0.1", 6000) not in audio_addresses(called.messages())[:1], "never the caller's own"


def test_hold_and_resume_reach_the_other_side(site, tmp_path):
    caller = [
        *CALLS,
        *[request("INVITE", "sendonly", 2), *provisional(), expect(200, pattern="a=recvonly"), request("ACK")],
        pause(100),
        *[request("INVITE", "sendrecv", 3), *provisional(), expect(200, pattern="a=sendrecv"), request("ACK")],
        *HANGS_UP,
    ]
    callee = [
        *RINGS_AND_ANSWERS,
        *[take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly", 2), take("ACK")],
        *[take("INVITE", pattern="a=sendrecv"), respond_in_dialog(200, "OK", "sendrecv", 3), take("ACK")],
        *IS_HUNG_UP,
    ]
    place(site, tmp_path, caller, callee)


def test_the_callee_holds(site, tmp_path):
    callee = [
        *RINGS_AND_ANSWERS,
        pause(100),
        *[callee_request("INVITE", "sendonly", 1), *provisional(), expect(200, pattern="a=recvonly")],
        callee_request("ACK", cseq=1),
        *IS_HUNG_UP,
    ]
    caller = [
        *CALLS,
        *[take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly"), take("ACK")],
        pause(200),
        *HANGS_UP,
    ]
    place(site, tmp_path, caller, callee)


def test_an_offer_that_comes_with_the_answer(site, tmp_path):
    """RFC 3261 section 13.2.1: an INVITE without SDP is offered one in the 200 and answers in the ACK."""
    caller = [invite(direction=None), *provisional(), expect(200, pattern="m=audio"), request("ACK", "sendrecv")]
    callee = [*RINGS_AND_ANSWERS[:3], take("ACK"), *IS_HUNG_UP]
    place(site, tmp_path, [*caller, pause(200), *HANGS_UP], callee)


def test_lost_messages_are_sent_again(site, tmp_path):
    """Each SIPp loses a tenth of what it sends and receives.

    Of 180 and 200 it may lose all that come before the INVITE is sent again, of the ACK all that come before the BYE.
    """
    answers = [*RINGS_AND_ANSWERS[:-1], ignore("INVITE"), take("ACK", optional=True), *IS_HUNG_UP]
    place(
        site,
        tmp_path,
        [*CALLS, pause(3000), *HANGS_UP],
        answers,
        calls=10,
        extra=("-lost", "10"),
    )


def test_a_hundred_calls_at_fifty_a_second(site, tmp_path):
    place(site, tmp_path, [*CALLS, pause(500), *HANGS_UP], [*RINGS_AND_ANSWERS, *IS_HUNG_UP], calls=100, rate=50)


def test_nobody_answers_at_the_target(site, tmp_path):
    """The port is closed: the caller learns it at once, not after 32 seconds."""
    with Sipp(
        [invite(), *provisional(), expect(503), ack_failure()], tmp_path, "caller", remote=site.address
    ) as calling:
        calling.wait(20)
    site.settled()


def test_options_is_answered_with_200_while_calls_can_be_taken(site, tmp_path):
    options = [request("OPTIONS", to_tag="", uri="sip:[remote_ip]:[remote_port]"), expect(200)]
    with Sipp(options, tmp_path, "probe", remote=site.address) as probe:
        probe.wait(60)


def test_a_stranger_to_every_dialog_is_told_so(site, tmp_path):
    bye = [request("BYE", to_tag=";tag=nobody", uri="sip:desk@[remote_ip]:[remote_port]"), expect(481)]
    with Sipp(bye, tmp_path, "stranger", remote=site.address) as stranger:
        stranger.wait(60)


EXAMPLES = Path(__file__).parents[2] / "examples" / "sipp"


def example(name):
    """A scenario of ours for people who try mediaha with SIPp, but for a shorter talk."""
    scenario = re.search("<scenario[^>]*>(.*)</scenario>", (EXAMPLES / f"{name}.xml").read_text(), re.DOTALL)
    return [Step(scenario[1].replace('timeout="20000"', 'timeout="1500"'))]


def test_the_scenarios_of_the_examples_go_on_when_the_media_server_is_lost(site, tmp_path):
    with (
        Sipp(example("callee"), tmp_path, "callee", port=site.target_port) as called,
        Sipp(example("caller"), tmp_path, "caller", remote=site.address) as calling,
    ):
        site.wait_until(lambda _: "ACK sip:" in calling.messages(), "they talk")
        (carrier,) = (server["name"] for server in site.status()["servers"] if server["calls"])
        site.lose(carrier)
        site.wait_until(lambda _: "INVITE sip:caller@" in calling.messages(), "the caller is told of the next one")
        calling.wait()
        called.wait()
    assert "INVITE sip:callee@" in called.messages()
    site.settled()
    site.ready()
