"""The site without a file, as a person starts it: calls, failures, a reload, the two ways to stop."""

import signal
import socket
import subprocess
import time

import pytest

from tests.peers.installed import needs
from tests.peers.ports import free_udp_port, rtp_ports
from tests.peers.sipp import Sipp, expect, invite, provisional, request, respond, respond_in_dialog, take
from tests.peers.site import Site

needs_sipp = needs("sipp", "sip-tester")

IS_HUNG_UP = [take("BYE"), respond_in_dialog(200, "OK")]
ANSWERS = [take("INVITE"), respond(180, "Ringing"), respond(200, "OK", "sendrecv"), take("ACK"), *IS_HUNG_UP]
CALLS = [invite(), *provisional(), expect(200, pattern="m=audio"), request("ACK"), *IS_HUNG_UP]


@pytest.fixture
def site(tmp_path):
    with Site(tmp_path) as running:
        yield running.ready()


def options(site):
    """How NeTS answers OPTIONS: the status, and whether it says when to come again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect(("127.0.0.1", site.port))
        own = f"127.0.0.1:{sock.getsockname()[1]}"
        sock.send(
            f"OPTIONS sip:{site.address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{time.monotonic_ns()}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:probe@{own}>;tag=1\r\nTo: <sip:{site.address}>\r\n"
            f"Call-ID: {time.monotonic_ns()}@{own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode()
        )
        answer = sock.recv(4096).decode()
    return int(answer.split(" ")[1]), "Retry-After:" in answer


def connected(site, tmp_path):
    """A call that stays until the site ends it: its caller and its callee."""
    callee = Sipp(ANSWERS, tmp_path, "callee", port=site.target_port)
    caller = Sipp(CALLS, tmp_path, "caller", remote=site.address)
    site.wait_until(lambda status: status["servers"][0]["calls"] == 1, "the call is on the first media server")
    return caller, callee


def test_the_first_screen_says_what_runs_and_what_to_try(site):
    site.wait_until(lambda _: "Ctrl-C" in site.log(), "the first screen")
    screen = site.log()
    assert f"takes calls on {site.address}/udp, {site.address}/tcp" in screen
    assert "media-1, then media-2; calls go to " + site.target in screen
    assert f"status --control {site.control}" in screen
    assert "drill" in screen


def test_a_second_site_on_the_same_ports_is_told_who_has_them(site, tmp_path):
    command = [*site.process.args]
    command[command.index(str(site.control))] = str(tmp_path / "another.sock")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) == 4
    for line, transport in zip(said, ("udp", "tcp"), strict=False):
        assert line == (
            f"mediaha: NeTS nets-1 needs {site.address}/{transport}, but process {site.process.pid} (python) has it; "
            "end that, or choose another port with --listen"
        )
    assert "choose another port with --ng-port" in said[2]


@needs_sipp
def test_a_call_can_be_explained_while_it_is_and_afterwards(site, tmp_path):
    caller, callee = connected(site, tmp_path)
    with caller, callee:
        site.wait_until(lambda _: '"event":"connected"' in site.log(), "the log of the call")
        call_id = site.log().partition('"event":"placed"')[2].partition('"call_id":"')[2].partition('"')[0]
        story = site.explain(call_id)
        assert [event["what"] for event in story["events"]][:3] == ["placed", "anchored", "invited"]
        shown = site.ask("explain", story["call_ids"][0])
        assert shown.stdout.startswith(f"call {call_id}, placed ")
        assert "offer: answered after" in shown.stdout
    unknown = site.ask("explain", "never-heard-of")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("mediaha: no call 'never-heard-of' is known here")


@needs_sipp
def test_sigterm_lets_calls_go_on_until_the_deadline_and_says_so_to_options(tmp_path):
    with Site(tmp_path, "--drain-seconds", "3") as site:
        site.ready()
        assert options(site) == (200, False)
        caller, callee = connected(site, tmp_path)
        with caller, callee:
            began = time.monotonic()
            site.process.terminate()
            status = site.wait_until(lambda status: status["draining"], "draining")
            assert status["nets"][0].pop("transactions") > 0
            assert status["nets"][0] == {
                "name": "nets-1",
                "listen": [f"{site.address}/udp", f"{site.address}/tcp"],
                "calls": 1,
                "ending": 0,
                "taking_calls": False,
                "refuses": "503 Draining",
                "listeners": [
                    {"listen": f"{site.address}/udp", "connections": None, "certificate_until": None},
                    {"listen": f"{site.address}/tcp", "connections": 0, "certificate_until": None},
                ],
                "turned_away": 0,
                "targets": [],
                "registrations": [],
                "contacts": [],
            }
            assert options(site) == (503, True)
            caller.wait(15)
            callee.wait(15)
            assert time.monotonic() - began > 2.5
        assert site.process.wait(60) == 0


@needs_sipp
def test_a_second_sigterm_stops_at_once(site, tmp_path):
    caller, callee = connected(site, tmp_path)
    with caller, callee:
        site.process.terminate()
        site.wait_until(lambda status: status["draining"], "draining")
        site.process.terminate()
        assert site.process.wait(60) == 0
    assert '"event":"stopping at once"' in site.log()


def test_a_drained_server_shows_it_and_takes_calls_again(site):
    assert site.ask("drain", "media-1").stdout.startswith("media-1 takes no new calls")
    site.wait_until(lambda status: status["servers"][0]["state"] == "draining", "media-1 drains")
    assert site.ask("undrain", "media-1").returncode == 0
    site.wait_until(lambda status: status["servers"][0]["state"] == "usable", "media-1 takes calls")


def test_no_usable_media_server_is_said_to_options(tmp_path):
    """Both are held still, so that nothing is started again: NeTS must not claim that it can take calls."""
    with Site(tmp_path) as site:
        site.ready()
        for name in site.names():
            site.signal(name, signal.SIGSTOP)
        site.wait_until(lambda status: not status["nets"][0]["taking_calls"], "NeTS takes no calls")
        assert options(site) == (503, True)


SITE = """\
[[hosts]]
name = "here"
address = "127.0.0.1"
[[media]]
name = "media-1"
host = "here"
ng = "127.0.0.1:{}"
ports = "{}-{}"
[[media]]
name = "media-2"
host = "here"
ng = "127.0.0.1:{}"
ports = "{}-{}"
[[nets]]
name = "nets-1"
host = "here"
listen = "127.0.0.1:{}"
[[domains]]
name = "*"
media = ["media-1", "media-2"]
targets = ["127.0.0.1:{}"]
[timings]
hang_s_max = 1
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "site.toml"
    media = (free_udp_port(), *rtp_ports(), free_udp_port(), *rtp_ports())
    path.write_text(SITE.format(*media, free_udp_port(), free_udp_port()))
    return path


def test_a_media_server_that_hangs_is_killed_and_started_again(file):
    with Site(file.parent, str(file), standalone=False) as site:
        site.ready()
        pid = site.signal("media-1", signal.SIGSTOP)
        site.wait_until(lambda status: status["servers"][0]["pid"] not in (pid, None), "a new process", 15)
        site.ready()
        assert '"event":"killing a media server that hangs"' in site.log()


@needs_sipp
def test_a_reload_moves_new_calls_and_lets_the_old_ones_stay(file, tmp_path):
    with Site(file.parent, str(file), standalone=False) as site:
        site.ready()
        site.port = int(file.read_text().partition('listen = "127.0.0.1:')[2].partition('"')[0])
        site.target_port = int(file.read_text().partition('targets = ["127.0.0.1:')[2].partition('"')[0])
        caller, callee = connected(site, tmp_path)
        with caller, callee:
            text = file.read_text()
            begin, end = (text.index(f'[[media]]\nname = "{name}"') for name in ("media-1", "media-2"))
            file.write_text((text[:begin] + text[end:]).replace('"media-1", ', ""))
            site.process.send_signal(signal.SIGHUP)
            site.wait_until(lambda status: status["domains"] == {"*": ["media-2"]}, "the new list")
            assert site.server("media-1")["state"] == "draining"
            assert site.server("media-1")["calls"] == 1
            assert site.server("media-1")["process"] == "running"
