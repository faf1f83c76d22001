"""The ways of a request inside a dialog, the best first."""

from __future__ import annotations

import pytest

from mediaha.model.address import Address
from mediaha.nets.way import ways
from mediaha.sip.dialog import Dialog
from mediaha.sip.target import TCP, TLS, UDP, Target

HERE = Address("192.0.2.7", 40000)
CAME_BY_TCP = Target(TCP, HERE, listener="tcp", connection=7)
CAME_BY_TLS = Target(TLS, HERE, listener="tls", connection=8)
WENT_BY_TLS = Target(TLS, Address("192.0.2.9", 5061), "pbx.test")


def dialog(contact, *routes):
    return Dialog("id", "us", "them", "<sip:a@b>", "<sip:c@d>", contact, routes, 1, 1)


@pytest.mark.parametrize(
    ("contact", "met", "flow", "expected"),
    [
        ("sip:a@192.0.2.7", Target(UDP, HERE), None, ["192.0.2.7:5060/udp"]),
        ("sip:a@192.0.2.7", None, None, ["192.0.2.7:5060/udp"]),
        ("sip:a@192.0.2.7;transport=tcp", CAME_BY_TCP, None, ["192.0.2.7:40000/tcp#7", "192.0.2.7:5060/tcp"]),
        ("sip:a@192.0.2.7", CAME_BY_TCP, None, ["192.0.2.7:40000/tcp#7", "192.0.2.7:5060/tcp", "192.0.2.7:5060/udp"]),
        ("sip:a@192.0.2.7;transport=udp", CAME_BY_TCP, None, ["192.0.2.7:40000/tcp#7", "192.0.2.7:5060/udp"]),
        ("sip:a@192.0.2.7:5061", CAME_BY_TLS, None, ["192.0.2.7:40000/tls#8", "192.0.2.7:5061/tls 192.0.2.7"]),
        ("sip:a@192.0.2.7;transport=tls", WENT_BY_TLS, None, ["192.0.2.7:5061/tls pbx.test"]),
        ("sip:a@192.0.2.9:5061;transport=tls", WENT_BY_TLS, None, ["192.0.2.9:5061/tls pbx.test"]),
        ("sip:a@phone.test", CAME_BY_TCP, None, ["192.0.2.7:40000/tcp#7"]),
        ("sip:a@phone.test", WENT_BY_TLS, CAME_BY_TLS, ["192.0.2.7:40000/tls#8", "192.0.2.9:5061/tls pbx.test"]),
        ("sip:a@phone.test", None, None, ["phone.test:5060/udp"]),
    ],
)
def test_the_ways(contact, met, flow, expected):
    def text(way):
        name = f" {way.server_name}" if way.server_name else ""
        return f"{way}#{way.connection}" if way.connection else f"{way}{name}"

    assert [text(way) for way in ways(dialog(contact), met, flow)] == expected


def test_the_route_comes_before_the_contact():
    found = ways(dialog("sip:a@192.0.2.7", "<sip:192.0.2.1;lr;transport=tcp>"), None)
    assert found == (Target(TCP, Address("192.0.2.1", 5060)),)
