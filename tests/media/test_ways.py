"""Flows that the kernel forwards leave by the way that a socket's packets would take, also when that way changes."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.media.calls import Client, until
from tests.media.forwarded import Forwarded, answers, far_server
from tests.peers import netns
from tests.peers.installed import unless

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
AROUND, BEYOND = "198.18.78.1", "198.18.78.2"
"""Both ends of a second cable."""
PINS = ("/sys/fs/bpf/mediaha", "/run/mediaha/bpf")


@pytest.fixture(scope="module")
def far():
    with netns.Namespace() as far:
        yield far


@pytest.fixture(scope="module")
def call(far, tmp_path_factory):
    with far_server(tmp_path_factory.mktemp("far"), far) as server:
        client = Client(server.ng)
        answers(server, client)
        call = Forwarded(server, client)
        until("the kernel forwards", call.needs_nobody)
        yield call
        call.end()


def ip(*words, inside=()):
    subprocess.run([*inside, "ip", *words], check=True)


def arrived(interface):
    lines = Path("/proc/self/net/dev").read_text().splitlines()
    return next(int(line.split(":")[1].split()[1]) for line in lines if line.strip().startswith(f"{interface}:"))


def test_a_rule_that_names_ports_holds_for_the_kernels_packets_too(call, far):
    near, inside = f"mw{os.getpid() % 100000}", far.inside
    ip("link", "add", near, "type", "veth", "peer", "name", "around", "netns", far.name)
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


def test_what_ipsec_may_have_to_encrypt_is_not_for_the_kernel(call, far):
    policy = ["src", "203.0.113.0/24", "dst", "203.0.113.0/24", "dir", "out"]
    ip("xfrm", "policy", "add", *policy, "action", "block", inside=far.inside)

    def goes_by_the_process():
        # For longer than it takes to find a new way.
        return all(not call.needs_nobody() and call.is_heard() for _ in range(4))

    until("everything goes by the process", goes_by_the_process)
    ip("xfrm", "policy", "delete", *policy, inside=far.inside)
    until("the kernel forwards again", call.needs_nobody)


def test_an_interface_that_is_made_again_has_the_program_again(call, far):
    for _ in range(2):
        far.rebuild()
        until("the kernel forwards again", call.needs_nobody)
    pins = [pin for base in PINS for pin in Path(base).glob(f"*_far_{far.number()}_*/if_*")]
    assert len(pins) == 2, "nothing is kept of interfaces that are gone"


@pytest.fixture(params=["IP4", "IP6"])
def family(request):
    if request.param == "IP6" and not netns.HAS_IPV6:
        pytest.skip("there is no IPv6 here")
    return request.param


def test_what_a_policy_says_of_ports_holds_for_steered_packets(call, far, family):
    """While there is one the kernel leaves packets to the process, whose headers it is not to pass by with, either."""
    talking = Forwarded(call.server, call.client, family, family)
    until("the kernel forwards", talking.needs_nobody)
    port = str(talking.parties[1].getsockname()[1])
    policy = ["dst", talking.caller[0], "proto", "udp", "dport", port, "dir", "out"]
    ip("xfrm", "policy", "add", *policy, "action", "block", inside=far.inside)
    until("nothing leaves that may not", lambda: not talking.is_heard())
    until("it says so", lambda: "packets_take_a_detour" in talking.server.log())
    ip("xfrm", "policy", "delete", *policy, inside=far.inside)
    until("the kernel forwards again", talking.needs_nobody)
    talking.end()
