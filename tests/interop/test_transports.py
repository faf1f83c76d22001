"""SIPp calls SIPp through NeTS by UDP, TCP and TLS in every mixture, by IPv6, and while something fails."""

from __future__ import annotations

import itertools
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.peers.baresip import Baresip
from tests.peers.installed import needs
from tests.peers.ports import free_udp_port
from tests.peers.sipp import (
    Sipp,
    expect,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)
from tests.peers.site import Site
from tests.peers.sitefile import CALM, SiteFile, ours
from tests.peers.tunnel import Tunnel
from tests.sip.certificates import Authority, Issued, needs_openssl

pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
    needs_openssl,
]

TRANSPORTS = ("udp", "tcp", "tls")
RINGS_AND_ANSWERS = [take("INVITE"), respond(180, "Ringing"), respond(200, "OK", "sendrecv"), take("ACK")]
IS_HUNG_UP = [take("BYE"), respond_in_dialog(200, "OK")]
HANGS_UP = [request("BYE"), expect(200)]
HOLDS = [request("INVITE", "sendonly", 2), *provisional(), expect(200, pattern="a=recvonly"), request("ACK")]
IS_HELD = [take("INVITE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly", 2), take("ACK")]
IS_MOVED = [take("INVITE", pattern="m=audio"), respond_in_dialog(200, "OK", "sendrecv", 2), take("ACK")]


def calls(transport):
    return [invite(host=f"{transport}.test"), *provisional(), expect(200, pattern="m=audio"), request("ACK")]


@dataclass
class Front:
    """A site that listens by every transport, and who can be called there: a SIPp for each transport."""

    site: Site
    authority: Authority
    files: Issued
    ports: dict[str, int]
    """Where NeTS listens."""
    callees: dict[str, int]
    """Where SIPp listens."""
    edge: Tunnel
    """In front of the SIPp that is called by TLS."""

    def callee(self, steps, folder, transport, **options):
        port = self.callees[transport]
        contact = f"127.0.0.1:{self.edge.port}" if transport == "tls" else None
        return Sipp(steps, folder, "callee", port=port, tcp=transport != "udp", contact=contact, **options)

    def caller(self, stack, steps, folder, transport, **options):
        remote = f"127.0.0.1:{self.ports[transport]}"
        if transport == "tls":
            tunnel = stack.enter_context(
                Tunnel.into_tls(("127.0.0.1", self.ports["tls"]), str(self.authority.certificate))
            )
            remote = f"127.0.0.1:{tunnel.port}"
        return stack.enter_context(Sipp(steps, folder, "caller", remote=remote, tcp=transport != "udp", **options))


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    authority = Authority(folder)
    files = authority.issue("IP:127.0.0.1")
    ports = {transport: free_udp_port() for transport in TRANSPORTS}
    callees = {transport: free_udp_port() for transport in TRANSPORTS}
    with Tunnel.out_of_tls(("127.0.0.1", callees["tls"]), str(files.certificate), str(files.key)) as edge:
        reached = {**callees, "tls": edge.port}
        trunks = {
            f"{transport}.test": {
                "targets": [f"sip:127.0.0.1:{reached[transport]};transport={transport}"],
                "check_s": 0,
            }
            for transport in TRANSPORTS
        }
        nets = {
            "listen": [f"{transport}:127.0.0.1:{port}" for transport, port in ports.items()],
            "tls_certificate": str(files.certificate),
            "tls_key": str(files.key),
            "tls_authorities": str(authority.certificate),
        }
        media = ours("first"), ours("second")
        lists = {name: ["first", "second"] for name in ("*", *trunks)}
        file = SiteFile(folder, *media, lists=lists, trunks=trunks, nets=nets, timings=CALM)
        with file.serve() as site:
            yield Front(site.ready(), authority, files, ports, callees, edge)


@pytest.mark.parametrize(("by", "to"), list(itertools.product(TRANSPORTS, TRANSPORTS)))
def test_a_call_with_hold_goes_by_one_transport_and_on_by_another(front, tmp_path, by, to):
    with ExitStack() as stack:
        callee = stack.enter_context(front.callee([*RINGS_AND_ANSWERS, *IS_HELD, *IS_HUNG_UP], tmp_path, to))
        caller = front.caller(stack, [*calls(to), *HOLDS, pause(100), *HANGS_UP], tmp_path, by)
        caller.wait()
        callee.wait()
        front.site.settled()
    invites = [line for line in callee.messages().splitlines() if line.startswith("Via:")]
    assert any(f"SIP/2.0/{to.upper()}" in line for line in invites), "each leg says by which transport it goes"


def carrier(front):
    """The media server that has the only call, once it has: one that was asked and was too late may have a session."""
    status = front.site.wait_until(lambda status: any(one["calls"] for one in status["servers"]), "a call with media")
    return next(one["name"] for one in status["servers"] if one["calls"])


def established(phone, front, method="ACK"):
    """Wait until a SIPp has written of this: its log is its only word."""
    front.site.wait_until(lambda _: f"\n{method} sip:" in phone.messages(), f"{method} at the {phone.name}")


def test_the_media_server_of_a_tls_call_is_killed(front, tmp_path):
    """Both parties are told over the connections that there are, and the call is ended by the caller as any other."""
    with ExitStack() as stack:
        callee = stack.enter_context(front.callee([*RINGS_AND_ANSWERS, *IS_MOVED, *IS_HUNG_UP], tmp_path, "tls"))
        caller = front.caller(stack, [*calls("tls"), *IS_MOVED, pause(500), *HANGS_UP], tmp_path, "tls")
        established(callee, front)
        front.site.lose(carrier(front))
        caller.wait()
        callee.wait()
        front.site.settled()
    front.site.ready()


@pytest.mark.parametrize("by", ["udp", "tls"])
def test_a_connection_that_is_cut_is_opened_again_for_hold_and_bye(front, tmp_path, by):
    """The callee's side: what the caller does reaches it over a new connection to where it listens."""
    with ExitStack() as stack:
        steps = [*RINGS_AND_ANSWERS, *IS_HELD, *IS_HUNG_UP]
        callee = stack.enter_context(front.callee(steps, tmp_path, "tls"))
        caller = front.caller(stack, [*calls("tls"), pause(3000), *HOLDS, *HANGS_UP], tmp_path, by)
        established(callee, front)
        front.edge.cut()
        caller.wait()
        callee.wait()
        front.site.settled()


def served(front):
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", front.ports["tls"]))


def test_a_new_certificate_is_for_new_connections_and_a_broken_one_is_for_none(front, tmp_path):
    site, files = front.site, front.files
    first, key = files.certificate.read_text(), files.key.read_text()
    second = front.authority.issue("IP:127.0.0.1")
    with ExitStack() as stack:
        callee = stack.enter_context(front.callee([*RINGS_AND_ANSWERS, *IS_HUNG_UP], tmp_path, "tcp"))
        caller = front.caller(stack, [*calls("tcp"), pause(4000), *HANGS_UP], tmp_path, "tls")
        established(callee, front)
        assert served(front) == first
        files.certificate.write_text("nothing that could be one")
        site.process.send_signal(signal.SIGHUP)
        site.wait_until(lambda _: "certificates cannot be used; those before stay in use" in site.log(), "it is said")
        assert served(front) == first
        files.certificate.write_text(second.certificate.read_text())
        files.key.write_text(second.key.read_text())
        site.process.send_signal(signal.SIGHUP)
        site.wait_until(lambda _: "certificates were read again" in site.log(), "it is said")
        assert served(front) == second.certificate.read_text() != first
        site.wait_until(
            lambda status: [one["connections"] for one in status["nets"][0]["listeners"]] == [None, 1, 1],
            "the caller's connection and the callee's are still there, and no others",
        )
        caller.wait()
        callee.wait()
    files.certificate.write_text(first)
    files.key.write_text(key)
    site.settled()


@needs("tshark", "tshark")
def test_a_call_is_traced_on_both_legs_into_a_capture_that_wireshark_reads(front, tmp_path):
    file = tmp_path / "call.pcap"
    command = [sys.executable, "-m", "mediaha", "trace", "mixed@trace", "--control", str(front.site.control)]
    with ExitStack() as stack:
        tracing = stack.enter_context(
            subprocess.Popen(
                [*command, "--pcap", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        stack.callback(tracing.kill)
        assert tracing.stderr is not None
        assert "waiting for messages that mention it" in tracing.stderr.readline()
        callee = stack.enter_context(front.callee([*RINGS_AND_ANSWERS, *IS_HUNG_UP], tmp_path, "tcp"))
        steps = [*calls("tcp"), pause(100), *HANGS_UP]
        caller = front.caller(stack, steps, tmp_path, "tls", extra=("-cid_str", "mixed@trace"))
        caller.wait()
        callee.wait()
        front.site.settled()
        tracing.send_signal(signal.SIGINT)
        ladder, _ = tracing.communicate(timeout=20)
    assert ladder.count("─ INVITE") == 2, ladder
    assert ladder.count("200 OK (BYE)") == 2, ladder
    fields = ["-T", "fields", "-e", "sip.Method", "-e", "sip.Call-ID"]
    port = f"udp.port=={front.ports['tls']},sip"
    done = subprocess.run(["tshark", "-r", file, "-d", port, *fields], capture_output=True, text=True, check=True)
    read = [line.split("\t") for line in done.stdout.splitlines()]
    assert [method for method, _ in read].count("INVITE") == 2, done.stdout
    assert [method for method, _ in read].count("BYE") == 2
    assert len({call_id for _, call_id in read}) == 2, "the Call-IDs of both legs"


@needs("baresip", "baresip-core")
def test_a_phone_by_tls_and_one_by_udp_hear_each_other_before_and_after_a_server_dies(front, tmp_path):
    site = front.site
    with (
        Baresip("callee", tmp_path, answers=True, port=site.target_port) as callee,
        Baresip("caller", tmp_path, authorities=front.authority.certificate) as caller,
    ):
        caller.command("dial", f"sip:callee@127.0.0.1:{front.ports['tls']};transport=tls")
        caller.wait_for("CALL_ESTABLISHED")
        callee.wait_for("CALL_ESTABLISHED")
        time.sleep(2)
        before = carrier(front)
        site.lose(before)
        site.wait_until(
            lambda status: any(one["sessions"] for one in status["servers"] if one["name"] != before), "the call moved"
        )
        time.sleep(2)
        assert not caller.has_told("CALL_CLOSED"), caller.log()
        caller.command("hangup")
        callee.wait_for("CALL_CLOSED")
        site.settled()
        time.sleep(0.2)  # the recording is closed after the event is told, and nothing says when
        for phone in (caller, callee):
            assert phone.heard().frames > 150, f"most of four seconds: {phone.heard()}"
    site.ready()


def test_a_call_by_ipv6_in_signalling_and_media(tmp_path):
    if not has_ipv6():
        pytest.skip("there is no IPv6 on this machine's loopback")
    text = tmp_path / "site.toml"
    nets, target, ng = free_udp_port(), free_udp_port(), free_udp_port()
    text.write_text(
        '[[hosts]]\nname = "here"\naddress = "::1"\n'
        f'[[media]]\nname = "first"\nhost = "here"\nng = "[::1]:{ng}"\nports = "39000-39399"\n'
        f'[[nets]]\nname = "nets-1"\nhost = "here"\n'
        f'listen = ["tcp:[::1]:{nets}", "[::1]:{nets}", "127.0.0.1:{nets}"]\n'
        f'[[domains]]\nname = "*"\nmedia = ["first"]\ntargets = ["[::1]:{target}"]\n'
    )
    with Site(tmp_path, str(text), standalone=False) as site:
        site.ready()
        for by_tcp in (False, True):
            folder = tmp_path / f"tcp-{by_tcp}"
            folder.mkdir()
            steps = [*RINGS_AND_ANSWERS, *IS_HELD, *IS_HUNG_UP]
            with (
                Sipp(steps, folder, "callee", port=target, host="::1") as callee,
                Sipp(
                    [*calls("six"), *HOLDS, pause(100), *HANGS_UP], folder, "caller",
                    remote=f"[::1]:{nets}", host="::1", tcp=by_tcp,
                ) as caller,
            ):  # fmt: skip
                caller.wait()
                callee.wait()
                site.settled()
            assert "c=IN IP6 ::1" in callee.messages().partition("INVITE")[2], "the media server's address is of IPv6"


def has_ipv6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True
