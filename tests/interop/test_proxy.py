"""Kamailio with its rtpengine module, and a media server of ours where it thinks that an rtpengine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.peers.installed import needs
from tests.peers.kamailio import HEAD, Kamailio
from tests.peers.mediaserver import MediaServer
from tests.peers.ng import ask_ng
from tests.peers.ports import free_udp_port, is_listening
from tests.peers.rtp import RtpEndpoint, audio_addresses, talk
from tests.peers.sipp import (
    Sipp,
    Step,
    ack_failure,
    cancel,
    expect,
    invite,
    pause,
    request,
    respond,
    respond_in_dialog,
    respond_to_invite,
    take,
)

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester"), needs("kamailio", "kamailio")]

CONFIG = (
    HEAD
    + """\
listen=udp:127.0.0.1:{port}
disable_tcp=yes
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "ctl.so"
loadmodule "rtpengine.so"
modparam("ctl", "binrpc", "unix:{folder}/kamailio/ctl")
modparam("rtpengine", "rtpengine_sock", "udp:{ng}")
modparam("rtpengine", "rtpengine_tout_ms", 2000)
modparam("rtpengine", "rtpengine_retr", 1)

request_route {{
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("INFO")) {{
        if ($hdr(X-Speaks) == "yes") {{ $var(done) = unblock_media("directional"); $var(keys) = unblock_dtmf(); }}
        else {{ $var(done) = block_media("directional"); $var(keys) = block_dtmf(); }}
        if ($var(done) > 0 && $var(keys) > 0) sl_send_reply("200", "OK");
        else sl_send_reply("500", "Not done");
        exit;
    }}
    if (is_method("CANCEL")) {{ rtpengine_delete(); if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        loose_route();
        if (is_method("BYE")) rtpengine_delete();
    }} else {{
        record_route();
        $du = "sip:127.0.0.1:{callee}";
    }}
    if (is_method("INVITE")) {{
        if (!rtpengine_offer("replace-origin replace-session-connection trust-address ICE=remove")) {{
            sl_send_reply("503", "No media"); exit;
        }}
        t_on_reply("ANSWER");
        t_on_failure("REFUSED");
    }}
    t_relay();
}}
onreply_route[ANSWER] {{
    if (has_body("application/sdp")) {{
        rtpengine_answer("replace-origin replace-session-connection");
        rtpengine_query();
    }}
}}
failure_route[REFUSED] {{ rtpengine_delete(); }}
"""
)
ROUTED = "[last_Record-Route:]\n"
ROUTE = "[routes]\n"
RINGS_EARLY = [take("INVITE"), respond(183, "Session Progress", "sendrecv", headers=ROUTED)]
ANSWERS = [respond(200, "OK", "sendrecv", headers=ROUTED), take("ACK")]


class Town(NamedTuple):
    """A proxy, its media server, and where its calls go."""

    proxy: Kamailio
    server: MediaServer
    callee_port: int

    def sessions(self) -> list[str]:
        """The calls that the media server has."""
        return ask_ng(self.server.ng, command="list")["calls"]

    def is_silenced(self, call_id: str) -> bool:
        """Whether the media server passes on nothing that one of the parties says."""
        parties = ask_ng(self.server.ng, command="query", **{"call-id": call_id})["tags"].values()
        return any("blocked media" in media for party in parties for media in party["medias"])

    def left_nothing(self) -> None:
        """Wait until the media server has forgotten all calls; it was asked for nothing that it refused."""
        deadline = time.monotonic() + 60
        while self.sessions():
            assert time.monotonic() < deadline, self.sessions()
            time.sleep(0.05)
        assert "proxy replied with error" not in self.proxy.log()


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Iterator[Town]:
    """A proxy in front of a media server; each test leaves it without any call."""
    folder = tmp_path_factory.mktemp("town")
    with MediaServer(folder, "alone") as server:
        _awake(server)
        port, callee = free_udp_port(), free_udp_port()
        config = CONFIG.format(port=port, ng=server.ng, folder=folder, callee=callee)
        with Kamailio(config, folder, port) as proxy:
            yield Town(proxy, server, callee)


def in_route(method: str, direction: str | None = None) -> Step:
    """The caller sends a further request by the proxy."""
    return request(method, direction, headers=ROUTE)


def test_a_call_with_early_media_a_hold_and_an_end_has_its_audio_through_the_media_server(town, tmp_path):
    caller_audio, callee_audio = RtpEndpoint(ssrc=0xA), RtpEndpoint(ssrc=0xB)
    holds = [
        in_route("INVITE", "sendonly"),
        expect(100, optional=True),
        expect(200, pattern="recvonly"),
        in_route("ACK"),
    ]
    calls = [invite(), expect(100, optional=True), expect(183, pattern="m=audio"), expect(200, pattern="m=audio")]
    is_held = [take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly"), take("ACK")]
    callee = [*RINGS_EARLY, pause(3000), *ANSWERS, *is_held, take("BYE"), respond_in_dialog(200, "OK")]
    caller = [*calls, in_route("ACK"), pause(200), *holds, pause(300), in_route("BYE"), expect(200)]
    called = Sipp(callee, tmp_path, "callee", port=town.callee_port, rtp_port=callee_audio.port)
    calling = Sipp(caller, tmp_path, "caller", remote=f"127.0.0.1:{town.proxy.port}", rtp_port=caller_audio.port)
    with called, calling:
        deadline = time.monotonic() + 60
        while not (told := audio_addresses(calling.messages(), received=True)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for_callee = audio_addresses(called.messages(), received=True)[-1]
        assert len(town.sessions()) == 1
        talk([(caller_audio, told[-1]), (callee_audio, for_callee)], 10)
        assert {(ssrc, source) for ssrc, _, source in caller_audio.heard} == {(0xB, told[-1])}
        assert {(ssrc, source) for ssrc, _, source in callee_audio.heard} == {(0xA, for_callee)}
        calling.wait()
        called.wait()
        assert set(audio_addresses(calling.messages(), received=True)) == {told[-1]}, "a hold moves nothing"
    town.left_nothing()
    caller_audio.close()
    callee_audio.close()


def test_a_caller_that_the_proxy_silences_is_not_heard_and_hears(town, tmp_path):
    caller_audio, callee_audio = RtpEndpoint(ssrc=0xA), RtpEndpoint(ssrc=0xB)
    asks = [
        step for yes in ("yes", "no") for step in (request("INFO", headers=f"{ROUTE}X-Speaks: {yes}\n"), expect(200))
    ]
    caller = [invite(), expect(100, optional=True), expect(200), in_route("ACK"), *asks, pause(3000)]
    ends = [in_route("BYE"), expect(200)]
    callee = [take("INVITE"), *ANSWERS, take("BYE"), respond_in_dialog(200, "OK")]
    called = Sipp(callee, tmp_path, "callee", port=town.callee_port, rtp_port=callee_audio.port)
    remote = f"127.0.0.1:{town.proxy.port}"
    calling = Sipp([*caller, *ends], tmp_path, "caller", remote=remote, rtp_port=caller_audio.port)
    with called, calling:
        deadline = time.monotonic() + 60
        while not any(map(town.is_silenced, town.sessions())):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for_caller, for_callee = (audio_addresses(sipp.messages(), received=True)[-1] for sipp in (calling, called))
        talk([(caller_audio, for_caller), (callee_audio, for_callee)], 10)
        assert {ssrc for ssrc, _, _ in caller_audio.heard} == {0xB}
        assert not callee_audio.heard
        calling.wait()
        called.wait()
    town.left_nothing()
    caller_audio.close()
    callee_audio.close()


def test_a_call_that_is_given_up_or_refused_leaves_nothing(town, tmp_path):
    rings = [take("INVITE"), respond(180, "Ringing", headers=ROUTED)]
    given_up = [*rings, take("CANCEL"), respond(200, "OK", cseq="[last_CSeq:]"), *_refuses(487, "Request Terminated")]
    gives_up = [invite(), expect(100, optional=True), expect(180), cancel(), expect(200), expect(487), ack_failure()]
    refused = [take("INVITE"), *_refuses(486, "Busy Here")]
    is_refused = [invite(), expect(100, optional=True), expect(486), ack_failure()]
    for name, callee, caller in (("up", given_up, gives_up), ("busy", refused, is_refused)):
        called = Sipp(callee, tmp_path, f"callee-{name}", port=town.callee_port)
        with called, Sipp(caller, tmp_path, f"caller-{name}", remote=f"127.0.0.1:{town.proxy.port}") as calling:
            calling.wait()
            called.wait()
        town.left_nothing()


def test_the_proxy_finds_the_media_server_alive_and_after_a_crash_alive_again(town):
    url = f"udp:{town.server.ng}"
    assert "success" in town.proxy.ask("rtpengine.ping", url)
    assert "disabled: 0" in town.proxy.ask("rtpengine.show", url)
    town.server.crash()
    assert "fail" in town.proxy.ask("rtpengine.ping", url)
    town.server.start()
    # The proxy's socket still has an error to tell of: the first question may fail.
    deadline = time.monotonic() + 60
    while "success" not in town.proxy.ask("rtpengine.ping", url):
        assert time.monotonic() < deadline, town.proxy.log()


def _refuses(status: int, reason: str) -> list[Step]:
    """The callee refuses the INVITE, even if a CANCEL has come since."""
    return [respond_to_invite(status, reason), take("ACK")]


def _awake(server: MediaServer) -> None:
    """Wait until a media server that was started can be asked."""
    deadline = time.monotonic() + 60
    while not is_listening(int(server.ng.rpartition(":")[2])):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)
