"""Scanners at the door: sipvicious and sipsak from another host learn nothing, and calls go on beside them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mediaha.sip.auth.digest import HashedSecret
from tests.interop.test_calls import CALLS, HANGS_UP, IS_HUNG_UP, RINGS_AND_ANSWERS
from tests.peers import netns
from tests.peers.installed import needs, unless
from tests.peers.netns import FAR, NEAR, Namespace
from tests.peers.sipp import Sipp, pause
from tests.peers.sitefile import CALM, SiteFile, ours

pytestmark = [
    pytest.mark.interop,
    pytest.mark.namespace,
    needs("sipp", "sip-tester"),
    needs("svmap", "sipvicious"),
    needs("sipsak", "sipsak"),
    unless(netns.missing()),
]

SECRET = "sesame"
USER = """
[[users]]
name = "1001"
domain = "example.test"
md5 = "{}"
"""
ONE_INVITE = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], int(sys.argv[2])))
own = "%s:%d" % sock.getsockname()
sock.send((
    "INVITE sip:100@{0} SIP/2.0\\r\\nVia: SIP/2.0/UDP {1};branch=z9hG4bKonce;rport\\r\\nMax-Forwards: 70\\r\\n"
    "From: <sip:me@{1}>;tag=1\\r\\nTo: <sip:100@{0}>\\r\\nCall-ID: once@{1}\\r\\nCSeq: 1 INVITE\\r\\n"
    "Contact: <sip:me@{1}>\\r\\nContent-Length: 0\\r\\n\\r\\n"
).format(sys.argv[1], own).encode())
sock.settimeout(0.2)
until = time.monotonic() + 4
while time.monotonic() < until:
    try:
        print(sock.recv(4096).decode().partition("\\r\\n")[0])
    except TimeoutError:
        pass
"""


@pytest.fixture(scope="module")
def far():
    """Another host, where nobody is known to us."""
    with Namespace() as host:
        yield host


@pytest.fixture(scope="module")
def site(tmp_path_factory, far):
    """A site that takes calls from its own address alone, and has a user with a weak secret."""
    file = SiteFile(
        tmp_path_factory.mktemp("site"), ours("one", interfaces=[NEAR]), host=NEAR, timings=CALM,
        nets={"callers": [NEAR]},
    )  # fmt: skip
    hashed = HashedSecret.of("1001", "example.test", SECRET)
    file.path.write_text('state = "state"\n' + file.path.read_text() + USER.format(hashed.md5))
    file.path.chmod(0o600)
    with file.serve() as running:
        yield running.ready()


def told(far, folder, *command, timeout=90):
    """What a program on the other host prints."""
    done = subprocess.run(
        [*far.inside, *command], cwd=folder, env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def calls_go_through(site, folder, name):
    """Calls of somebody who is known, all of which must go as they always do."""
    many = {"host": NEAR, "calls": 20}
    callee, caller = [*RINGS_AND_ANSWERS, *IS_HUNG_UP], [*CALLS, pause(200), *HANGS_UP]
    with (
        Sipp(callee, folder, f"{name}-callee", port=site.target_port, **many),
        Sipp(caller, folder, f"{name}-caller", remote=site.address, **many) as caller,
    ):
        caller.wait()
    site.settled()


def test_a_refused_stranger_is_answered_once(site, far, tmp_path):
    """More than one response to a request would be a gift to whoever writes another's address into it."""
    heard = told(far, tmp_path, sys.executable, "-c", ONE_INVITE, NEAR, str(site.port))
    assert heard.splitlines() == ["SIP/2.0 403 Forbidden"]


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER"])
def test_svmap_does_not_learn_what_this_is(site, far, tmp_path, method):
    heard = told(far, tmp_path, "svmap", "-v", "-d", "-b", FAR, "-p", str(site.port), "-m", method, NEAR)
    assert "mediaha" not in heard.lower().replace("friendly", "")
    assert "Server:" not in heard
    assert "Allow:" not in heard


def test_sipsak_is_refused(site, far, tmp_path):
    heard = told(far, tmp_path, "sipsak", "-v", "-v", "-s", f"sip:desk@{NEAR}:{site.port}")
    assert "403" in heard
    assert "mediaha" not in heard.lower()


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_svwar_finds_no_extension(site, far, tmp_path, method):
    scan = ("svwar", "--force", "-b", FAR, "-p", str(site.port), "-m", method, "-e", "990-1010")
    heard = told(far, tmp_path, *scan, "--domain=example.test", NEAR)
    assert "found nothing" in heard
    assert "1001" not in heard.replace("990-1010", "")


def test_svcrack_hears_nothing_any_more_long_before_it_is_right_while_calls_go_on(site, far, tmp_path):
    guesses = [str(number) for number in range(3000)]
    (tmp_path / "words").write_text("\n".join([*guesses, SECRET]))
    crack = ["svcrack", "-b", FAR, "-p", str(site.port), "-u", "1001", "-d", "words", "--domain=example.test", NEAR]
    output = tmp_path / "svcrack"
    with output.open("wb") as out:
        cracking = subprocess.Popen(
            [*far.inside, *crack], cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
    try:
        site.wait_until(lambda status: status["nets"][0]["turned_away"] > 0, "the scanner is not heard any more")
        calls_go_through(site, tmp_path, "beside")
        site.wait_until(lambda status: status["nets"][0]["turned_away"] > 300, "it goes on in vain")
    finally:
        cracking.kill()
        cracking.wait()
    assert SECRET not in output.read_text().replace("words", "")
    tried = site.log().count('"event":"credentials refused"')
    assert 0 < tried < 500, "few of its guesses were heard at all"
    assert "dropped unread: their sources sent too many" in site.ask("status").stdout
    assert not site.status()["nets"][0]["contacts"], "nobody has registered"
