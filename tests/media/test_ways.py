"""Flows that the kernel forwards leave by the way that a socket's packets would take, also when that way changes."""

import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from tests.media.calls import Client, audio, sdp, until
from tests.peers import netns
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
SOON_S = 0.3
"""No packet over a cable takes so long."""
AROUND, BEYOND = "198.18.78.1", "198.18.78.2"
"""Both ends of a second cable."""
PINS = ("/sys/fs/bpf/mediaha", "/run/mediaha/bpf")


class Call:
    """Two parties at this end of the cable, and the server at the other one."""

    def __init__(self, folder, far):
        self.far = far
        kernel = {"inside": far.inside_network, "datapath": "kernel", "ports": (18000, 18099)}
        self.server = MediaServer(folder, "far", host=netns.FAR, **kernel)
        client = Client(self.server.ng)
        until(
            "it answers, or says why not", lambda: client.ask(command="ping") or "cannot be had" in self.server.log()
        )
        if "cannot be had" in self.server.log():
            pytest.skip(self.server.log())
        self.parties = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        # Only the signalled addresses are believed, so that lanes open at once.
        asked = {"call-id": "call", "from-tag": "1", "flags": ["strict source"]}
        for party in self.parties:
            party.bind((netns.NEAR, 0))
            party.settimeout(SOON_S)
        caller, callee = ("{}:{}".format(*party.getsockname()) for party in self.parties)
        client.ask(command="offer", sdp=sdp("IP4", caller), **asked)
        answered = client.ask(command="answer", sdp=sdp("IP4", callee), **{**asked, "to-tag": "2"})
        host, port = audio(answered["sdp"]).rsplit(":", 1)
        self.port = (host, int(port))
        self._number = 0

    def cannot_be_had(self):
        return "cannot be had" in self.server.log()

    def is_heard(self):
        """Whether the callee hears what the caller says now."""
        self._number += 1
        spoken = struct.pack("!BBHII", 0x80, 8, self._number, self._number * 160, 1) + b"\xd5" * 160
        self.parties[0].sendto(spoken, self.port)
        try:
            while self.parties[1].recv(2048) != spoken:
                pass
        except TimeoutError:
            return False
        return True

    def needs_nobody(self):
        """Whether the callee hears the caller while the process stands still."""
        self.is_heard()
        self.server.hang()
        alone = self.is_heard()
        self.server.resume()
        return alone


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    with netns.Namespace() as far:
        call = Call(tmp_path_factory.mktemp("far"), far)
        with call.server:
            until("the kernel forwards", call.needs_nobody)
            yield call
            for party in call.parties:
                party.close()


def ip(*words, inside=()):
    subprocess.run([*inside, "ip", *words], check=True)


def arrived(interface):
    lines = Path("/proc/self/net/dev").read_text().splitlines()
    return next(int(line.split(":")[1].split()[1]) for line in lines if line.strip().startswith(f"{interface}:"))


def test_a_rule_that_names_ports_holds_for_the_kernels_packets_too(call):
    near, inside = f"mw{os.getpid() % 100000}", call.far.inside
    ip("link", "add", near, "type", "veth", "peer", "name", "around", "netns", call.far.name)
    try:
        ip("address", "add", f"{AROUND}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("address", "add", f"{BEYOND}/30", "dev", "around", inside=inside)
        ip("link", "set", "around", "up", inside=inside)
        ip("route", "add", f"{netns.NEAR}/32", "via", AROUND, "table", "77", inside=inside)
        port = str(call.parties[1].getsockname()[1])
        ip("rule", "add", "prio", "100", "ipproto", "udp", "dport", port, "lookup", "77", inside=inside)

        def goes_around():
            before = arrived(near)
            return call.needs_nobody() and arrived(near) >= before + 2

        until("the kernel takes the way of the rule", goes_around)
        ip("rule", "del", "prio", "100", inside=inside)
    finally:
        ip("link", "del", near)
    until("it takes the first way again", call.needs_nobody)


def test_what_ipsec_may_have_to_encrypt_is_not_for_the_kernel(call):
    policy = ["src", "203.0.113.0/24", "dst", "203.0.113.0/24", "dir", "out"]
    ip("xfrm", "policy", "add", *policy, "action", "block", inside=call.far.inside)

    def goes_by_the_process():
        # For longer than it takes to find a new way.
        return all(not call.needs_nobody() and call.is_heard() for _ in range(4))

    until("everything goes by the process", goes_by_the_process)
    ip("xfrm", "policy", "delete", *policy, inside=call.far.inside)
    until("the kernel forwards again", call.needs_nobody)


def test_an_interface_that_is_made_again_has_the_program_again(call):
    for _ in range(2):
        call.far.rebuild()
        until("the kernel forwards again", call.needs_nobody)
    pins = [pin for base in PINS for pin in Path(base).glob(f"*_far_{call.far.number()}_*/if_*")]
    assert len(pins) == 2, "nothing is kept of interfaces that are gone"
