"""What a network makes of packets: the kernel forwards what is plain as it is, and leaves the rest to the process."""

import contextlib
import socket
import struct
import subprocess
from dataclasses import dataclass

import pytest

from tests.media.calls import until
from tests.media.forwarded import far_server, forwarded_call
from tests.peers import netns
from tests.peers.frames import IPV4, IPV6, UDP, Frames, ipv4, ipv6, udp
from tests.peers.installed import needs, unless

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]
MORE_FRAGMENTS = 0x2000
HOP_BY_HOP, FRAGMENT, DESTINATION = 0, 44, 60
PADDING = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])
"""An extension header of IPv6 with nothing in it."""
PRIORITY_ALONE, ANOTHER_VLAN = 5 << 13, 7
SOMEBODY_ELSE = "02:00:5e:00:53:01"
UDP_SEGMENT = 103
LONGEST = {"IP4": 1500 - 20 - 8 - 12, "IP6": 1280 - 40 - 8 - 12}
"""Bytes of audio in the longest packet that is not cut anywhere on the way."""


@pytest.fixture(scope="module")
def far():
    with netns.Namespace() as far:
        yield far


@pytest.fixture(scope="module")
def server(far, tmp_path_factory):
    with far_server(tmp_path_factory.mktemp("far"), far) as server:
        yield server
        server.end()


@pytest.fixture(params=["IP4", "IP6"])
def call(server, request):
    if request.param == "IP6" and not netns.HAS_IPV6:
        pytest.skip("there is no IPv6 here")
    call = forwarded_call(server, request.param, request.node.name)
    yield call
    call.end()


@dataclass(frozen=True)
class Odd:
    """Something that the caller says, and how it comes along the cable."""

    what: str
    spoken: bytes
    packets: list[bytes]
    sound: bool
    """Whether a socket would be given it."""
    frame: dict[str, object]


class Wire:
    """Puts the caller's packets on the cable, in whatever form."""

    def __init__(self, call, far):
        self._call = call
        self._far = far
        self._kind, self._packet = (IPV4, ipv4) if call.family == "IP4" else (IPV6, ipv6)

    def odd(self, what, *, sound=True, length=160, ahead=b"", behind=b"", frame=None, checksum=None, **header):
        spoken = self._call.words(length)
        body = ahead + udp(spoken, self._call.caller, self._call.port, checksum=checksum) + behind
        return Odd(what, spoken, [self._to_port(body, **header)], sound, frame or {})

    def in_pieces(self):
        spoken = self._call.words()
        whole = udp(spoken, self._call.caller, self._call.port)
        if self._kind == IPV4:
            packets = [
                self._to_port(whole[:64], fragment=MORE_FRAGMENTS, number=77),
                self._to_port(whole[64:], fragment=64 // 8, number=77),
            ]
        else:
            packets = [
                self._to_port(struct.pack("!BBHI", UDP, 0, 0 | 1, 77) + whole[:64], first=FRAGMENT),
                self._to_port(struct.pack("!BBHI", UDP, 0, 64, 77) + whole[64:], first=FRAGMENT),
            ]
        return Odd("in pieces", spoken, packets, True, {})

    def put(self, *odd):
        with Frames(self._far.near, self._far.mac()) as frames:
            for one in odd:
                for packet in one.packets:
                    frames.send(self._kind, packet, **one.frame)

    def _to_port(self, body, **header):
        return self._packet(body, self._call.caller[0], self._call.port[0], **header)


@pytest.fixture
def wire(call, far):
    return Wire(call, far)


def all_that_is_odd(wire, family):
    """None of it is for the kernel."""
    yield wire.odd("a tag that says priority alone", frame={"vlan": PRIORITY_ALONE})
    yield wire.odd("of a VLAN that is not ours", sound=False, frame={"vlan": ANOTHER_VLAN})
    yield wire.odd("for another host", sound=False, frame={"to": SOMEBODY_ELSE})
    yield wire.in_pieces()
    yield wire.odd("at its last hop", hops=1)
    if family == "IP4":
        yield wire.odd("with options", options=b"\x01\x01\x01\x00")
        yield wire.odd("more in the packet than in the datagram", behind=b"more")
    else:
        yield wire.odd("with options for each hop", ahead=PADDING, first=HOP_BY_HOP)
        yield wire.odd("with options for the destination", ahead=PADDING, first=DESTINATION)
        yield wire.odd("without a checksum", sound=False, checksum=0)


def test_what_is_not_plain_goes_by_the_process(call, wire):
    odd = list(all_that_is_odd(wire, call.family))
    call.server.hang()
    wire.put(*odd)
    alone = call.heard()
    call.server.resume()
    assert alone == [], [one.what for one in odd if one.spoken in alone]
    sound, heard = [one.spoken for one in odd if one.sound], []
    until("the process has sent on what is sound", lambda: heard.extend(call.heard()) or len(heard) >= len(sound))
    assert sorted(heard) == sorted(sound), [one.what for one in odd if (one.spoken in heard) is not one.sound]
    until("the kernel forwards again", call.needs_nobody)


def test_what_is_plain_is_forwarded_whole_with_a_checksum_that_is_right(call, wire):
    plain = [
        wire.odd("of an odd length", length=161),
        wire.odd("the longest", length=LONGEST[call.family]),
        wire.odd("at its last hop but one", hops=2),
        wire.odd("damaged", sound=False, checksum=0x1234),
    ]
    if call.family == "IP4":
        plain.append(wire.odd("without a checksum", checksum=0))
    call.server.hang()
    wire.put(*plain)
    heard = call.heard()
    call.server.resume()
    assert heard == [one.spoken for one in plain if one.sound]


@needs("ethtool", "ethtool")
@pytest.mark.parametrize(("near_sums", "far_sums"), [("off", "off"), ("on", "off")])
def test_checksums_are_right_whoever_makes_them(call, far, near_sums, far_sums):
    """Either end may leave them to its interface; on a cable that has none, nobody would see that they are wrong."""
    with offloads(far, near_sums, far_sums):
        until("the kernel forwards, and it is right", call.needs_nobody)


@contextlib.contextmanager
def offloads(far, near, there):
    set_offloads(far, near, there)
    try:
        yield
    finally:
        set_offloads(far, "on", "on")


def set_offloads(far, near, there):
    subprocess.run(["ethtool", "-K", far.near, "tx", near], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*far.inside, "ethtool", "-K", "far", "tx", there], check=True, stdout=subprocess.DEVNULL)


def test_packets_that_come_as_one_are_told_apart_and_stay_in_order(call):
    """A sender may leave it to its interface to cut them, and a cable within one machine never does."""
    spoken = [call.words() for _ in range(60)]
    for first in range(0, 60, 12):
        burst = spoken[first : first + 12]
        together(call.parties[0], burst[:8], call.port)
        for one in burst[8:]:
            call.parties[0].sendto(one, call.port)
    assert call.heard() == spoken


def together(sock, packets, to):
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(packets[0]))
    sock.sendto(b"".join(packets), to)
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
