"""SIPp at 127.0.0.1 calls SIPp at ::1, and the other way round: each hears the other, also when a server is lost."""

from __future__ import annotations

import time

import pytest

from mediaha.load import Load
from tests.peers import rtpengine
from tests.peers.baresip import Baresip
from tests.peers.installed import needs, unless
from tests.peers.ports import free_udp_port
from tests.peers.rtp import audio_addresses
from tests.peers.sipp import (
    Sipp,
    ack_failure,
    expect,
    invite,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)
from tests.peers.sitefile import CALM, SiteFile, foreign, ours

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester")]
DOMAIN = "desk.test"
WITHOUT_IPV6 = "every media server of the list lacks an IPv6 address"
EACH = ["127.0.0.1", "::1"]
ANSWERS = [take("INVITE"), respond(180, "Ringing"), respond(200, "OK", "sendrecv"), take("ACK")]
CALLS = [invite(host=DOMAIN), *provisional(), expect(200, pattern="m=audio"), request("ACK")]
IS_MOVED = [take("INVITE", pattern="m=audio"), respond_in_dialog(200, "OK", "sendrecv", 2), take("ACK")]
IS_HUNG_UP = [take("BYE"), respond_in_dialog(200, "OK")]


@pytest.fixture
def load():
    load = Load()
    yield load
    load.close()


class Sound:
    """What the two parties say and hear; each sends to where it has been told last."""

    def __init__(self, load, site, caller, callee):
        self.load, self.site = load, site
        self.parties = []
        self.hosts = (caller, callee)
        self.ends = [load.open(host) for host in self.hosts]
        load.pair(self.ends[0][0], self.ends[1][0])

    def port(self, party):
        return int(self.ends[party][1].rpartition(":")[2])

    def follow(self, *sipps, told):
        """Wait until each has been told ``told`` times where to send, and send there."""
        for (end, _), host, sipp in zip(self.ends, self.hosts, sipps, strict=True):

            def places(sipp=sipp):
                return audio_addresses(sipp.messages(), received=True)

            self.site.wait_until(lambda _, places=places: len(set(places())) >= told, f"told {told} times")
            at, port = places()[-1]
            assert at == host, f"an address of its own family: {at}"
            self.load.aim(end, f"[{at}]:{port}" if ":" in at else f"{at}:{port}")
            self.load.start(end)

    def flows(self):
        before = [self.load.arrivals(end).received for end, _ in self.ends]
        self.site.wait_until(
            lambda _: all(
                self.load.arrivals(end).received > heard + 20
                for (end, _), heard in zip(self.ends, before, strict=True)
            ),
            "both hear each other",
        )


def site_of(tmp_path, *media, callee):
    """NeTS listens by IPv4 and by IPv6; its calls go to ``callee``."""
    target = free_udp_port()
    written = f"[{callee}]" if ":" in callee else callee
    port = free_udp_port()
    file = SiteFile(
        tmp_path, *media, timings=CALM, lists={DOMAIN: [one.name for one in media]},
        trunks={DOMAIN: {"targets": [f"{written}:{target}"], "check_s": 0}},
        nets={"listen": [f"udp:127.0.0.1:{port}", f"udp:[::1]:{port}"]},
    )  # fmt: skip
    # When it is stopped it hangs up: a party that does so itself would have to know when the test has heard enough.
    running = file.serve("--drain-seconds", "0")
    running.port, running.target_port = port, target
    return running


def parties(tmp_path, site, sound):
    caller, callee = sound.hosts
    written = f"[{caller}]" if ":" in caller else caller
    called = Sipp(
        [*ANSWERS, *IS_MOVED, *IS_HUNG_UP], tmp_path, "callee", port=site.target_port, host=callee,
        rtp_port=sound.port(1),
    )  # fmt: skip
    calling = Sipp(
        [*CALLS, *IS_MOVED, *IS_HUNG_UP], tmp_path, "caller", remote=f"{written}:{site.port}",
        host=caller, rtp_port=sound.port(0),
    )  # fmt: skip
    return called, calling


@pytest.mark.parametrize(("caller", "callee"), [EACH, EACH[::-1]])
def test_ipv4_and_ipv6_hear_each_other_and_again_when_the_media_server_is_lost(tmp_path, load, caller, callee):
    """The second server of the list has no IPv6: it is passed over, in the move as well."""
    media = [ours("first", interfaces=EACH), ours("old"), ours("second", interfaces=EACH)]
    with site_of(tmp_path, *media, callee=callee) as site:
        site.ready()
        sound = Sound(load, site, caller, callee)
        called, calling = parties(tmp_path, site, sound)
        with called, calling:
            sound.follow(calling, called, told=1)
            sound.flows()
            site.lose("first")
            sound.follow(calling, called, told=2)
            sound.flows()
            site.stop()
            calling.wait()
            called.wait()
    assert load.arrivals().misdirected == 0


@unless(rtpengine.missing())
@pytest.mark.parametrize(("caller", "callee"), [EACH, EACH[::-1]])
def test_a_call_between_the_families_moves_from_an_rtpengine_to_ours(tmp_path, load, caller, callee):
    with rtpengine.Rtpengine("foreign", tmp_path, interfaces=EACH) as engine:
        media = [foreign("foreign", str(engine.spec.ng)), ours("ours", interfaces=EACH)]
        with site_of(tmp_path, *media, callee=callee) as site:
            site.ready()
            sound = Sound(load, site, caller, callee)
            called, calling = parties(tmp_path, site, sound)
            with called, calling:
                sound.follow(calling, called, told=1)
                sound.flows()
                engine.crash()
                sound.follow(calling, called, told=2)
                sound.flows()
                site.stop()
                calling.wait()
                called.wait()
    assert load.arrivals().misdirected == 0


def test_a_call_to_ipv6_where_no_media_server_has_it_is_refused_with_the_reason(tmp_path):
    with site_of(tmp_path, ours("first"), ours("second"), callee="::1") as site:
        site.ready()
        steps = [invite(host=DOMAIN), *provisional(), expect(488, pattern=WITHOUT_IPV6), ack_failure()]
        with Sipp(steps, tmp_path, "caller", remote=site.address) as calling:
            calling.wait()
        site.settled()


@needs("baresip", "baresip-core")
def test_phones_of_both_families_ring_together_and_the_one_that_the_offer_was_not_for_answers(tmp_path):
    """baresip refuses what it could send nothing to: an offer of the other family would not ring there."""
    port = free_udp_port()
    media = [ours(name, interfaces=EACH) for name in ("first", "second")]
    listen = [f"udp:127.0.0.1:{port}", f"udp:[::1]:{port}"]
    file = SiteFile(
        tmp_path, *media, timings=CALM, lists={"example.test": ["first", "second"]}, nets={"listen": listen}
    )
    anna = '[[users]]\nname = "anna"\ndomain = "example.test"\nmd5 = "8de578d883d781f8a37631884afb539a"\n'
    file.path.write_text(f'state = "{tmp_path}/state"\n{file.path.read_text()}{anna}')

    def phone(name, host):
        at = f"[{host}]" if ":" in host else host
        account = f'<sip:anna@example.test>;auth_pass=sesame;outbound="sip:{at}:{port}";regint=60'
        return Baresip(name, tmp_path, account=account, host=host)

    with (
        file.serve() as site,
        phone("four", "127.0.0.1") as four,
        phone("six", "::1") as six,
        Baresip("caller", tmp_path, proxy=f"127.0.0.1:{port}") as caller,
    ):
        site.ready()
        site.wait_until(lambda status: len(status["nets"][0]["contacts"]) == 2, "both phones are registered")
        caller.command("dial", "sip:anna@example.test")
        four.wait_for("CALL_INCOMING")
        six.wait_for("CALL_INCOMING")
        six.command("accept")
        caller.wait_for("CALL_ESTABLISHED")
        four.wait_for("CALL_CLOSED")
        time.sleep(1)
        caller.command("hangup")
        six.wait_for("CALL_CLOSED")
        site.settled()
        time.sleep(0.2)  # the recordings are closed after the event is told, and nothing says when
        for heard in (caller.heard(), six.heard()):
            assert heard.frames > 25, f"half of a second: {heard}"
