"""Kamailio as a carrier that asks who we are, whatever we send: calls through it, and what a person sees of it."""

from __future__ import annotations

import itertools
import json

import pytest

from mediaha.sip.auth.digest import HashedSecret
from tests.interop.test_calls import HANGS_UP, IS_HUNG_UP
from tests.peers.installed import needs
from tests.peers.kamailio import HEAD, Kamailio
from tests.peers.ports import free_udp_port
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
from tests.peers.sitefile import CALM, SiteFile, ours

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester"), needs("kamailio", "kamailio")]

SECRET = "open-sesame"
HASHED = HashedSecret.of("nets", "carrier.test", SECRET)
VARIABLE = "MEDIAHA_TEST_SECRET"
CARRIER = (
    HEAD
    + """
listen=udp:127.0.0.1:{port}
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "qop", "auth")
modparam("auth", "nonce_count", 1)
modparam("auth", "nonce_expire", 2)
request_route {{
    # What comes again is no second use of the credentials in it.
    t_check_trans();
    if ($sp != {phone} && $rm != "ACK" && $rm != "CANCEL") {{
        if (!pv_{kind}_authenticate("carrier.test", "{secret}", "0")) {{
            {kind}_challenge("carrier.test", "1");
            exit;
        }}
        consume_credentials();
    }}
    if ($tt != $null) {{
        loose_route();
        t_relay();
        exit;
    }}
    if ($rm == "OPTIONS") {{
        sl_send_reply("200", "OK");
        exit;
    }}
    record_route();
    $du = "sip:127.0.0.1:{phone}";
    t_relay();
}}
"""
)
ROUTED = "[last_Record-Route:]\n"
CARRIERS = {
    "file": ("MD5", "www", {"secret_file": "secret"}),
    "variable": ("SHA-256", "proxy", {"secret_env": VARIABLE}),
    "hashed": ("SHA-256", "proxy", {"realm": "carrier.test", "sha256": HASHED.sha256, "md5": HASHED.md5}),
    "wrong": ("MD5", "proxy", {"realm": "carrier.test", "md5": HASHED.sha256[:32]}),
}


@pytest.fixture(scope="module")
def ports():
    """The port of each carrier, and of the phone behind it."""
    return {name: (free_udp_port(), free_udp_port()) for name in CARRIERS}


@pytest.fixture(scope="module")
def site(tmp_path_factory, ports):
    """A site with a trunk to each carrier, and a domain for it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret").write_text(f"{SECRET}\n")
    trunks = {
        name: {"targets": [f"127.0.0.1:{ports[name][0]}"], "username": "nets", "check_s": 2, **credentials}
        for name, (_, _, credentials) in CARRIERS.items()
    }
    lists = dict.fromkeys(CARRIERS, ("one",))
    file = SiteFile(folder, ours("one"), timings=CALM, trunks=trunks, lists=lists)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, SECRET)
        with file.serve() as running:
            yield running.ready()


@pytest.fixture
def carrier(tmp_path, ports):
    """Start the carrier of this name."""

    def start(name):
        algorithm, kind, _ = CARRIERS[name]
        port, phone = ports[name]
        text = CARRIER.format(port=port, phone=phone, algorithm=algorithm, kind=kind, secret=SECRET)
        return Kamailio(text, tmp_path, port)

    return start


@pytest.mark.parametrize("name", ["file", "variable", "hashed"])
def test_a_call_through_a_carrier_that_asks_each_time(site, tmp_path, ports, carrier, name):
    """A nonce is good for two seconds there; the call is changed and ended after that (stale)."""
    hold = [request("INVITE", "sendonly", 2), *provisional(), expect(200, pattern="a=recvonly"), request("ACK")]
    info = [request("INFO"), expect(200)]
    caller = [invite(host=name), *provisional(), expect(200), request("ACK"), pause(4000), *hold, *info, *HANGS_UP]
    answers = [respond(180, "Ringing", headers=ROUTED), respond(200, "OK", "sendrecv", headers=ROUTED)]
    callee = [
        *[take("INVITE"), *answers, take("ACK")],
        *[take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly", 2), take("ACK")],
        *[take("INFO"), respond_in_dialog(200, "OK")],
        *IS_HUNG_UP,
    ]
    with (
        carrier(name),
        Sipp(callee, tmp_path, "callee", port=ports[name][1]) as called,
        Sipp(caller, tmp_path, "caller", remote=site.address) as calling,
    ):
        calling.wait()
        called.wait()
        target = next(one for one in site.status()["nets"][0]["targets"] if one["trunk"] == name)
        assert target["state"] == "up"
    site.settled()
    assert "uthorization" not in calling.messages(), "credentials are between us and the carrier"
    numbers = [line for line in called.messages().splitlines() if line.startswith("CSeq: ") and " ACK" not in line]
    mine = [int(line.split()[1]) for line, _ in itertools.groupby(numbers)]
    assert mine == sorted(mine)


def test_a_wrong_secret_is_a_403_for_the_caller_and_shown_nowhere(site, tmp_path, carrier):
    caller = [invite(host="wrong"), *provisional(), expect(403), ack_failure()]
    with carrier("wrong"), Sipp(caller, tmp_path, "caller", remote=site.address) as calling:
        calling.wait()
        call_id = calling.messages().partition("Call-ID: ")[2].split()[0]
        shown = site.ask("explain", call_id).stdout
        assert "challenged" in shown
        told = shown + site.ask("status").stdout + json.dumps(site.status()) + site.log()
    assert SECRET not in told
    assert HASHED.sha256 not in told
    assert HASHED.md5 not in told
