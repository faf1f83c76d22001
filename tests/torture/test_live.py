"""The messages of RFC 4475 and RFC 5118 sent to a NeTS that is at work: what it answers, and that it goes on.

The table is what we read in those RFCs for a back-to-back user agent that keeps no registrar.
Where they leave a choice, the comment says which one was made.
"""

from __future__ import annotations

import re
import secrets

import pytest
import trio

from mediaha.model.site import Domain
from tests.nets.world import open_world, until
from tests.torture import rfc5118
from tests.torture.rfc4475 import invalid, meaning, valid

SILENCE = frozenset[int]()
CALL = frozenset({100, 180, 200})
"""A call is placed, rings and is answered."""
NO_REGISTRAR = frozenset({405})


def only(status):
    """One response, and no other."""
    return frozenset({status})


RFC_4475 = {
    # Its To has a tag, so that it belongs to a dialog, which is not ours (RFC 3261 section 12.2.2).
    "3.1.1.1 wsinv": (valid.WSINV, only(481)),
    "3.1.1.2 intmeth": (valid.INTMETH, only(501)),
    "3.1.1.3 esc01": (valid.ESC01, CALL),
    "3.1.1.4 escnull": (valid.ESCNULL, NO_REGISTRAR),
    "3.1.1.5 esc02": (valid.ESC02, only(501)),
    "3.1.1.6 lwsdisp": (valid.LWSDISP, only(200)),
    "3.1.1.7 longreq": (valid.LONGREQ, CALL),
    # What comes after the first message is dropped.
    "3.1.1.8 dblreq": (valid.DBLREQ, NO_REGISTRAR),
    "3.1.1.9 semiuri": (valid.SEMIURI, only(200)),
    "3.1.1.10 transports": (valid.TRANSPORTS, only(200)),
    # Messages are passed on inside calls only.
    "3.1.1.11 mpart01": (valid.MPART01, only(481)),
    "3.1.1.12 unreason": (valid.UNREASON, SILENCE),
    "3.1.1.13 noreason": (valid.NOREASON, SILENCE),
    # Nobody can say where to: its Via cannot be read.
    "3.1.2.1 badinv01": (invalid.BADINV01, SILENCE),
    "3.1.2.2 clerr": (invalid.CLERR, only(400)),
    "3.1.2.3 ncl": (invalid.NCL, only(400)),
    "3.1.2.4 scalar02": (invalid.SCALAR02, only(400)),
    "3.1.2.5 scalarlg": (invalid.SCALARLG, SILENCE),
    "3.1.2.6 quotbal": (invalid.QUOTBAL, only(400)),
    "3.1.2.7 ltgtruri": (invalid.LTGTRURI, only(400)),
    # Refusing is what the RFC recommends for all kinds of space where none belongs.
    "3.1.2.8 lwsruri": (invalid.LWSRURI, only(400)),
    "3.1.2.9 lwsstart": (invalid.LWSSTART, only(400)),
    "3.1.2.10 trws": (invalid.TRWS, only(400)),
    "3.1.2.11 escruri": (invalid.ESCRURI, only(400)),
    # A Date concerns nobody here.
    "3.1.2.12 baddate": (invalid.BADDATE, CALL),
    "3.1.2.13 regbadct": (invalid.REGBADCT, NO_REGISTRAR),
    # An element may be liberal.
    "3.1.2.14 badaspec": (invalid.BADASPEC, only(200)),
    "3.1.2.15 baddn": (invalid.BADDN, only(400)),
    "3.1.2.16 badvers": (invalid.BADVERS, only(505)),
    "3.1.2.17 mismatch01": (invalid.MISMATCH01, only(400)),
    "3.1.2.18 mismatch02": (invalid.MISMATCH02, only(400)),
    "3.1.2.19 bigcode": (invalid.BIGCODE, SILENCE),
    "3.2.1 badbranch": (meaning.BADBRANCH, only(200)),
    "3.3.1 insuf": (meaning.INSUF, only(400)),
    "3.3.2 unkscm": (meaning.UNKSCM, only(416)),
    "3.3.3 novelsc": (meaning.NOVELSC, only(416)),
    "3.3.4 unksm2": (meaning.UNKSM2, NO_REGISTRAR),
    "3.3.5 bext01": (meaning.BEXT01, only(420)),
    "3.3.6 invut": (meaning.INVUT, only(415)),
    "3.3.7 regaut01": (meaning.REGAUT01, NO_REGISTRAR),
    "3.3.8 multi01": (meaning.MULTI01, only(400)),
    "3.3.9 mcl01": (meaning.MCL01, only(400)),
    "3.3.10 bcast": (meaning.BCAST, SILENCE),
    # We are where the request ends, so that it need not go any further.
    "3.3.11 zeromf": (meaning.ZEROMF, only(200)),
    "3.3.12 cparam01": (meaning.CPARAM01, NO_REGISTRAR),
    "3.3.13 cparam02": (meaning.CPARAM02, NO_REGISTRAR),
    "3.3.14 regescrt": (meaning.REGESCRT, NO_REGISTRAR),
    # A response that the caller could accept cannot bear the SDP that it needs.
    "3.3.15 sdp01": (meaning.SDP01, only(406)),
    "3.4.1 inv2543": (meaning.INV2543, CALL),
}

RFC_5118 = {
    "4.1 an IPv6 reference": (rfc5118.GOOD, NO_REGISTRAR),
    "4.2 without brackets": (rfc5118.BAD, only(400)),
    "4.3 what looks like a port is none": (rfc5118.PORT_AMBIGUOUS, NO_REGISTRAR),
    "4.4 a port behind the brackets": (rfc5118.PORT_UNAMBIGUOUS, NO_REGISTRAR),
    "4.5 received with brackets": (rfc5118.RECEIVED_IN_BRACKETS, only(481)),
    "4.5 received without": (rfc5118.RECEIVED_WITHOUT, only(481)),
    "4.6 IPv6 in SDP": (rfc5118.INVITE_WITH_IPV6_SDP, CALL),
    "4.7 both families in Via": (rfc5118.TWO_FAMILIES_IN_VIA, only(200)),
    "4.8 IPv4-mapped addresses": (rfc5118.MAPPED_IPV4, CALL),
    "4.9 three colons": (rfc5118.THREE_COLONS, only(400)),
    "4.10 two colons": (rfc5118.TWO_COLONS, only(200)),
}


class Sender:
    """Who sends a message from the port that its Via names, so that the responses come back there."""

    def __init__(self, data: bytes) -> None:
        via = re.search(rb"(?im)^(?:via|v)\s*:\s*SIP\s*/\s*[27]\.0\s*/\s*\w+\s+([^;,\r]+)", data)
        port = re.search(rb":(\d+)\s*$", via[1]) if via and not via[1].startswith(b"[") else None
        if via and via[1].startswith(b"["):
            port = re.search(rb"\]:(\d+)", via[1])
        self.data = data
        self.port = int(port[1]) if port else 5060
        self.statuses: list[int] = []
        self.heads: list[bytes] = []

    async def open(self):
        """On an address of its own: others may have the port on theirs."""
        self._socket = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        octets = secrets.token_bytes(3)
        host = f"127.{octets[0] or 1}.{octets[1]}.{octets[2] % 253 + 1}"
        await self._socket.bind((host, self.port))

    async def send(self, nets):
        await self._socket.sendto(self.data, nets)

    async def hear(self):
        """Take responses as they come."""
        while True:
            response = await self._socket.recv(65535)
            self.heads.append(response)
            self.statuses.append(int(response[8:11]))


class Everywhere:
    """Any domain is served, by the callee's phone."""

    trunks = ()

    def __init__(self, target) -> None:
        self._domain = Domain("*", ("a", "b"), (target,))
        self.domains = (self._domain,)

    def domain(self, _name):
        return self._domain


async def tortured(data):
    """Send it to a NeTS; gives what came back once a call after it has been through."""
    async with open_world() as world, trio.open_nursery() as nursery:
        world.route(Everywhere(world.callee.endpoint.address))
        sender = Sender(data)
        await sender.open()
        nursery.start_soon(sender.hear)
        await sender.send(world.nets.address)
        mine = world.caller.call(world.nets.address, host="after.test", user="afterwards")
        await mine.answered.wait()
        if data.startswith(b"INVITE"):
            await until(lambda: any(status >= 200 for status in sender.statuses) or b";;,;,," in data)
        assert world.nets.calls()
        nursery.cancel_scope.cancel()
    return sender


def check(sender, expected):
    """Retransmissions are the same again."""
    assert set(sender.statuses) == set(expected) or (expected == CALL and 200 in sender.statuses), sender.heads


@pytest.mark.parametrize("name", RFC_4475)
async def test_rfc_4475(name):
    data, expected = RFC_4475[name]
    check(await tortured(data), expected)


@pytest.mark.parametrize("name", RFC_5118)
async def test_rfc_5118(name):
    data, expected = RFC_5118[name]
    check(await tortured(data), expected)


async def test_what_is_not_understood_is_named():
    """Section 3.3.5: the response to unknown extensions lists those of Require (RFC 3261 section 8.2.2.3)."""
    sender = await tortured(meaning.BEXT01)
    assert b"nothingSupportsThis, nothingSupportsThisEither" in sender.heads[0]


async def test_what_would_be_accepted_is_named():
    """Section 3.3.6."""
    sender = await tortured(meaning.INVUT)
    assert b"Accept: application/sdp" in sender.heads[-1]
