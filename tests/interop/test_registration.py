"""Kamailio as a carrier that must be told where we are: calls from it arrive as long as it has been told."""

from __future__ import annotations

import signal

import pytest

from tests.interop.test_calls import HANGS_UP, IS_HUNG_UP, RINGS_AND_ANSWERS
from tests.peers.installed import needs
from tests.peers.kamailio import HEAD, Kamailio
from tests.peers.ports import free_udp_port
from tests.peers.sipp import Sipp, ack_failure, expect, invite, pause, provisional, request, respond, take
from tests.peers.sitefile import CALM, SiteFile, ours

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester"), needs("kamailio", "kamailio")]

REGISTRAR = (
    HEAD
    + """
listen=udp:127.0.0.1:{port}
alias="carrier.test"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 4)
modparam("auth", "nonce_expire", 2)
request_route {{
    if ($rm == "OPTIONS") {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if ($rm == "REGISTER") {{
        if (!pv_www_authenticate("carrier.test", "sesame", "0")) {{
            www_challenge("carrier.test", "0");
            exit;
        }}
        save("location");
        exit;
    }}
    if ($tt != $null) {{
        loose_route();
        t_relay();
        exit;
    }}
    record_route();
    if (!lookup("location")) {{
        sl_send_reply("404", "Not Here");
        exit;
    }}
    t_relay();
}}
"""
)


@pytest.fixture
def ports():
    return free_udp_port(), free_udp_port()


@pytest.fixture
def registrar(tmp_path, ports):
    """Start the carrier's first or second registrar."""

    def start(number, name):
        return Kamailio(REGISTRAR.format(port=ports[number]), tmp_path, ports[number], name)

    return start


@pytest.fixture
def site(tmp_path, ports):
    """A site that registers at both, in this order, and takes their calls to its phone."""
    (tmp_path / "secret").write_text("sesame")
    trunk = {
        "targets": [f"127.0.0.1:{port}" for port in ports],
        **{"username": "office", "secret_file": "secret", "register": "sip:office@carrier.test", "register_s": 30},
        **{"check_s": 1, "suspect_check_s": 0.2, "try_s_max": 1},
    }
    lists = {"carrier": ["one"], "*": ["one"]}
    file = SiteFile(tmp_path, ours("one"), timings=CALM, trunks={"carrier": trunk}, lists=lists)
    with file.serve() as running:
        running.target_port = file.targets["*"]
        yield running.ready()


def registered(site):
    """Where the site is registered, by `status`."""
    (one,) = site.status()["nets"][0]["registrations"]
    return one["target"]


def renewed_twice(site):
    """Until it has been registered for more than one term: four seconds are all that this carrier grants."""
    terms, last = 0, 0.0

    def renewed(status):
        nonlocal terms, last
        (one,) = status["nets"][0]["registrations"]
        assert one["registered"]
        terms += one["expires_s"] > last
        last = one["expires_s"]
        return terms == 3

    site.wait_until(renewed, "renewed twice")


def call(tmp_path, port, name, status=200):
    """A call of somebody's at the carrier to us."""
    begin = [invite(host="carrier.test"), *provisional(), expect(status)]
    steps = [*begin, request("ACK"), pause(100), *HANGS_UP] if status == 200 else [*begin, ack_failure()]
    with Sipp(steps, tmp_path, name, remote=f"127.0.0.1:{port}", service="office") as caller:
        caller.wait()


def test_calls_come_while_we_are_registered_and_no_more_once_we_drain(site, tmp_path, ports, registrar):
    at_first, then = (f"127.0.0.1:{port}/udp" for port in ports)
    phone = Sipp([*RINGS_AND_ANSWERS, *IS_HUNG_UP], tmp_path, "phone", port=site.target_port, calls=3)
    with phone, registrar(1, "second"):
        with registrar(0, "first"):
            site.wait_until(lambda _: registered(site) == at_first, "registered")
            call(tmp_path, ports[0], "before")
            renewed_twice(site)
            call(tmp_path, ports[0], "renewed")
        site.wait_until(lambda _: registered(site) == then, "registered with the second, as the first is down")
        call(tmp_path, ports[1], "second-call")
        shown = site.ask("status").stdout
        assert f"trunk carrier: office@carrier.test is registered at {then} for another" in shown
        assert site.stop() == 0
        call(tmp_path, ports[1], "after", status=404)
    assert "sesame" not in site.log()


def test_a_carrier_that_wants_us_for_longer_is_given_that_and_told_when_we_go(tmp_path, ports):
    """SIPp as the registrar: 423 at first; then what it asked for; and a farewell."""
    registrar = [
        *[take("REGISTER", pattern="Expires: 60"), respond(423, "Interval Too Brief", headers="Min-Expires: 120\n")],
        *[take("REGISTER", pattern="Expires: 120"), respond(200, "OK", headers="Expires: 120\n")],
        *[take("REGISTER", pattern="Expires: 0"), respond(200, "OK")],
    ]
    trunk = {
        "targets": [f"127.0.0.1:{ports[0]}"],
        "check_s": 0,
        "register": "sip:office@carrier.test",
        "register_s": 60,
    }
    file = SiteFile(
        tmp_path, ours("one"), timings=CALM, trunks={"carrier": trunk}, lists={"carrier": ["one"], "*": ["one"]}
    )
    with Sipp(registrar, tmp_path, "registrar", port=ports[0]) as carrier, file.serve() as site:
        site.ready()
        site.wait_until(lambda _: registered(site), "registered")
        (one,) = site.status()["nets"][0]["registrations"]
        assert 60 < one["expires_s"] <= 120
        assert one["why"] == ""
        site.process.terminate()
        carrier.wait()
        assert site.process.wait(20) == 0


def test_a_secret_that_is_put_right_is_used_after_a_reload_without_waiting(site, tmp_path, ports, registrar):
    with registrar(0, "first"):
        site.wait_until(lambda _: registered(site), "registered")
    (tmp_path / "secret").write_text("wrong")
    site.process.send_signal(signal.SIGHUP)
    site.wait_until(lambda _: '"event":"the site file was read again"' in site.log(), "read again")
    with registrar(0, "again"):
        site.wait_until(lambda status: "answered 401" in status["nets"][0]["registrations"][0]["why"], "refused", 40)
        (tmp_path / "secret").write_text("sesame")
        site.process.send_signal(signal.SIGHUP)
        site.wait_until(lambda _: registered(site), "registered again, minutes before it would be tried anew")
