"""Parties of a call whose media server is killed: who rings, who refuses, who puts off, who has moved itself."""

import time

import pytest

from tests.chaos.parties import ANSWERS, CALLS, HANGS_UP, IS_HUNG_UP, IS_TOLD, RINGS, is_ended, pair
from tests.peers.installed import needs
from tests.peers.rtp import RtpEndpoint, talk
from tests.peers.sipp import (
    Step,
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

pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
]

TALKS = pause(1500)
PACKETS = 30
PACKETS_MIN = 20
"""The first may be lost to the other side's set-up; a busy machine is late, and the caller hangs up in its time."""


@pytest.fixture
def site(tmp_path):
    """A site that moves a call when its media server exits, and for hardly any other reason."""
    with SiteFile(tmp_path, ours("first"), ours("second"), timings=CALM).serve() as running:
        yield running.ready()


def kill_its_server(site):
    """Kill the media server that the only call is on, whichever it is."""
    status = site.wait_until(
        lambda status: sum(server["calls"] or 0 for server in status["servers"]) == 1, "the call has a media server"
    )
    (name,) = (server["name"] for server in status["servers"] if server["calls"])
    site.lose(name)
    return name


def noted(site, event, times=1):
    site.wait_until(lambda _: site.log().count(f'"event":"{event}"') >= times, f"{times} times: {event}")


def hear_each_other(call, callee_audio=None):
    """Both send where they were told last, and hear the other and nobody else."""
    callee_audio = callee_audio or call.callee_audio
    talk([(call.caller_audio, call.told(call.caller)), (callee_audio, call.told(call.callee))], PACKETS)
    assert {ssrc for ssrc, _, _ in call.caller_audio.heard} == {callee_audio.ssrc}
    assert {ssrc for ssrc, _, _ in callee_audio.heard} == {call.caller_audio.ssrc}
    assert len(call.caller_audio.heard) >= PACKETS_MIN
    assert len(callee_audio.heard) >= PACKETS_MIN


def test_a_ringing_call_goes_on_ringing_and_has_audio_when_it_is_answered(site, tmp_path):
    caller = [invite(), expect(100, optional=True), expect(180), expect(200, pattern="m=audio"), request("ACK")]
    # The callee was told of the server that died, so that it hears of the other one as soon as it has answered.
    callee = [*RINGS, pause(1500), *ANSWERS, *IS_TOLD, *IS_HUNG_UP]
    with pair(site, tmp_path, [*caller, TALKS, *HANGS_UP], callee) as call:
        noted(site, "ringing")
        kill_its_server(site)
        noted(site, "moved")
        assert '"event":"answered"' not in site.log(), "it rings"
        noted(site, "told")
        hear_each_other(call)
        call.wait()
    site.settled()


def test_parties_that_put_the_news_off_are_told_again(site, tmp_path):
    """491 from both, as if they were about to change the session themselves (RFC 3261 section 14.1)."""
    not_now = [take("INVITE"), respond_in_dialog(491, "Request Pending"), take("ACK")]
    callee = [*RINGS, *ANSWERS, *not_now, *IS_TOLD, TALKS, callee_request("BYE"), expect(200)]
    with pair(site, tmp_path, [*CALLS, *not_now, *IS_TOLD, *IS_HUNG_UP], callee) as call:
        noted(site, "connected")
        kill_its_server(site)
        noted(site, "told", times=2)
        hear_each_other(call)
        call.wait()
    assert site.log().count('"event":"put off"') == 2
    site.settled()


def test_a_party_that_resumes_as_its_server_dies_has_its_way(site, tmp_path):
    """Its INVITE and ours cross. It must put ours off, and does not come again by itself, as many a phone."""
    # With a request that it would send again, SIPp waits for the response before it says anything else.
    resumes = Step(request("INVITE", "sendrecv", 2).xml.replace('retrans="500"', ""))
    crosses = [take("INVITE"), resumes, respond_in_dialog(491, "Request Pending"), take("ACK")]
    has_its_way = [expect(100, optional=True), expect(200, pattern="m=audio"), request("ACK")]
    caller = [*CALLS, *crosses, *has_its_way, TALKS, *HANGS_UP]
    with pair(site, tmp_path, caller, [*RINGS, *ANSWERS, *IS_TOLD, *IS_TOLD, *IS_HUNG_UP]) as call:
        noted(site, "connected")
        kill_its_server(site)
        noted(site, "session changed")
        hear_each_other(call)
        call.wait()
    assert '"event":"glare"' not in site.log()
    site.settled()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_party_that_refuses_the_news_gets_an_end_with_its_reason_and_so_does_the_other(site, tmp_path, who):
    refuses = [take("INVITE"), pause(700), respond_in_dialog(488, "Not Acceptable Here"), take("ACK")]
    caller = [*CALLS, *(refuses if who == "caller" else IS_TOLD), *is_ended(488)]
    callee = [*RINGS, *ANSWERS, *(refuses if who == "callee" else IS_TOLD), *is_ended(488)]
    with pair(site, tmp_path, caller, callee) as call:
        noted(site, "connected")
        kill_its_server(site)
        call.wait()
    site.settled()


def test_a_party_that_moves_while_it_is_told_of_the_move_is_heard_where_it_is_now(site, tmp_path):
    """Its answer to the re-INVITE names another port than before."""
    elsewhere = RtpEndpoint(ssrc=0xC)
    answer = respond_in_dialog(200, "OK", "sendrecv")
    moves = [take("INVITE"), Step(answer.xml.replace("[rtp_port]", "[moved_port]")), take("ACK")]
    callee = [*RINGS, *ANSWERS, *moves, *IS_HUNG_UP]
    extra = ("-key", "moved_port", str(elsewhere.port))
    with pair(site, tmp_path, [*CALLS, *IS_TOLD, TALKS, *HANGS_UP], callee, extra=extra) as call:
        noted(site, "connected")
        kill_its_server(site)
        noted(site, "told", times=2)
        hear_each_other(call, elsewhere)
        call.wait()
        assert not call.callee_audio.listen(), "nothing went to where it was before"
    elsewhere.close()
    site.settled()


def test_a_caller_that_gives_up_after_its_server_died_rings_nobody_any_more(site, tmp_path):
    caller = [invite(), expect(100, optional=True), expect(180), pause(1000), cancel(), expect(200), expect(487)]
    callee = [*RINGS, take("CANCEL"), respond(200, "OK")]
    callee += [respond(487, "Request Terminated", cseq="CSeq: 1 INVITE"), take("ACK")]
    with pair(site, tmp_path, [*caller, ack_failure()], callee) as call:
        noted(site, "ringing")
        kill_its_server(site)
        call.wait()
    site.settled()


def test_a_held_call_is_moved_and_stays_on_hold(site, tmp_path):
    """Both are told again what holds: one side sends, the other only hears."""
    holds = [request("INVITE", "sendonly", 2), *provisional(), expect(200, pattern="a=recvonly"), request("ACK")]
    is_held = [take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly", 2), take("ACK")]
    told_to_listen = [take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly", 2), take("ACK")]
    told_to_send = [take("INVITE", pattern="a=recvonly"), respond_in_dialog(200, "OK", "sendonly", 2), take("ACK")]
    caller = [*CALLS, *holds, *told_to_send, pause(500), *HANGS_UP]
    with pair(site, tmp_path, caller, [*RINGS, *ANSWERS, *is_held, *told_to_listen, *IS_HUNG_UP]) as call:
        noted(site, "session changed")
        kill_its_server(site)
        call.wait()
    site.settled()


def fax(step):
    """The same with a fax (T.38) in its SDP instead of audio."""
    for audio, image in (
        ("m=audio [rtp_port] RTP/AVP 8", "m=image [rtp_port] udptl t38"),
        ("a=rtpmap:8 PCMA/8000", ""),
    ):
        assert audio in step.xml
        step = Step(step.xml.replace(f"{audio}\r\n", f"{image}\r\n" if image else ""))
    return step


def test_a_call_that_has_become_a_fax_is_moved_as_a_fax(site, tmp_path):
    """The machine that is called asks for it (T.38); the two exchange what no one in between can read."""
    is_told = [take("INVITE", pattern="m=image"), fax(respond_in_dialog(200, "OK", "sendrecv")), take("ACK")]
    asks = [fax(callee_request("INVITE", "sendrecv", 1)), *provisional(), expect(200, pattern="m=image")]
    callee = [*RINGS, *ANSWERS, pause(300), *asks, callee_request("ACK", cseq=1), *is_told, *IS_HUNG_UP]
    with pair(site, tmp_path, [*CALLS, *is_told, *is_told, pause(3000), *HANGS_UP], callee) as call:
        noted(site, "session changed")
        kill_its_server(site)
        noted(site, "told", times=2)
        assert call.told(call.caller)[1] != call.callee_audio.port, "the two must not meet behind the site's back"
        for _ in range(PACKETS):
            call.caller_audio.fax(call.told(call.caller))
            call.callee_audio.fax(call.told(call.callee))
            time.sleep(0.01)
        call.wait()
        for listener, other in ((call.caller_audio, call.callee_audio), (call.callee_audio, call.caller_audio)):
            assert listener.listen() >= PACKETS_MIN
            assert {ssrc for ssrc, _, _ in listener.heard} == {other.ssrc}
    site.settled()
