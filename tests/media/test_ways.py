"""Flows that the kernel forwards leave by the way that a socket's packets would take, also when that way changes."""

import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from tests.media.calls import until
from tests.media.forwarded import Forwarded, far_server, forwarded_call
from tests.peers import netns, pins
from tests.peers.frames import Frames
from tests.peers.installed import unless

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
AROUND, BEYOND = "198.18.78.1", "198.18.78.2"
"""Both ends of a second cable."""
NETWORK = "198.18.77.0/30"
ANOTHER_MAC = "02:00:5e:00:53:77"
ARP = 0x0806
EVERYBODY = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module")
def far():
    with netns.Namespace() as far:
        yield far


@pytest.fixture(scope="module")
def call(far, tmp_path_factory):
    with far_server(tmp_path_factory.mktemp("far"), far) as server:
        call = forwarded_call(server)
        yield call
        call.end()
        server.end()


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


def takes_the_interface_down(far):
    far.cut()
    yield
    far.mend()


def takes_the_address_away(far):
    ip("address", "del", f"{netns.FAR}/30", "dev", "far", inside=far.inside)
    yield
    ip("address", "add", f"{netns.FAR}/30", "dev", "far", inside=far.inside)


def renames_the_interface(far):
    far.cut()
    ip("link", "set", "far", "name", "away", inside=far.inside)
    yield
    ip("link", "set", "away", "name", "far", inside=far.inside)
    far.mend()


def takes_the_route_away(far):
    ip("route", "del", NETWORK, "dev", "far", inside=far.inside)
    yield
    ip("route", "add", NETWORK, "dev", "far", "src", netns.FAR, inside=far.inside)


@pytest.mark.parametrize(
    "breaks", [takes_the_interface_down, takes_the_address_away, renames_the_interface, takes_the_route_away]
)
def test_when_the_network_is_whole_again_the_kernel_forwards_again(call, far, breaks):
    fault = breaks(far)
    next(fault)
    until("nothing comes through", lambda: not call.is_heard())
    for _ in fault:
        raise AssertionError
    until("the kernel forwards again", call.needs_nobody)


def test_a_cable_that_is_pulled_out_and_plugged_in_while_nobody_looks_after_it(call, far):
    call.server.hang()
    far.cut()
    assert not call.is_heard()
    far.mend()
    until("it is heard again", call.is_heard)
    call.server.resume()


def test_a_party_whose_router_is_replaced_is_found_at_the_other_one(call, far):
    """Its address has another MAC address from then on, as it says itself."""
    until("the kernel forwards", call.needs_nobody)
    ip("link", "set", far.near, "address", ANOTHER_MAC)
    mac, address = bytes.fromhex(ANOTHER_MAC.replace(":", "")), socket.inet_aton(netns.NEAR)
    announcement = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + b"\xff" * 6 + address
    call.server.hang()

    def is_found():
        with Frames(far.near, far.mac()) as frames:
            frames.send(ARP, announcement, to=EVERYBODY)
        return call.is_heard()

    until("it is heard", is_found)
    call.server.resume()


def test_an_interface_that_is_made_again_has_the_program_again(call, far):
    for _ in range(2):
        far.rebuild()
        until("the kernel forwards again", call.needs_nobody)
    kept = [pin for folder in pins.folders("far", far.number()) for pin in folder.glob("if_*")]
    assert len(kept) == 2, "nothing is kept of interfaces that are gone"


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
