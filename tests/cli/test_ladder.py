"""The ladder of a call: who said what to whom, in lines that a person reads from the top down."""

from __future__ import annotations

import re

from mediaha.cli.ladder import GAP_MIN, PARTIES_MAX, Ladder, what
from mediaha.model.address import Address
from mediaha.sip.target import TLS, UDP, Target
from mediaha.sip.trace import Traced

HERE = Address("192.0.2.1", 5060)
CALLER = Target(UDP, Address("192.0.2.20", 5060))
FIRST, SECOND = Target(TLS, Address("192.0.2.21", 5061)), Target(UDP, Address("2001:db8::22", 5060))
INVITE = b"INVITE sip:desk@example.test SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0\r\n"
BUSY = b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n"


def drawn(*messages, width=80):
    ladder = Ladder(width)
    lines = [
        line for flow, received, text in messages for line in ladder.lines(Traced(0.5, received, text, HERE, flow))
    ]
    return [re.sub(r"^\d\d:\d\d:\d\d\.500", "12:00:00.500", line) for line in lines]


def test_a_call_that_the_first_target_refuses():
    assert drawn((CALLER, True, INVITE), (FIRST, False, INVITE), (FIRST, True, BUSY), (CALLER, False, BUSY)) == [
        "           192.0.2.20:5060/udp                     NeTS",
        "12:00:00.500 │──────────── INVITE, SDP ─────────────▶│",
        "           192.0.2.20:5060/udp       NeTS                      192.0.2.21:5061/tls",
        "12:00:00.500 │                         │───── INVITE, SDP ──────▶│",
        "12:00:00.500 │                         │◀ 486 Busy Here (INVITE) │",
        "12:00:00.500 │◀ 486 Busy Here (INVITE) │                         │",
    ]


def test_an_arrow_to_the_third_party_passes_the_second():
    *_, last = drawn((CALLER, True, INVITE), (FIRST, False, INVITE), (SECOND, False, INVITE), width=200)
    assert last.count("│") == 3
    assert last.endswith("▶│")


def test_parties_without_end_make_no_ladder_without_end():
    flows = [Target(UDP, Address("192.0.2.99", port)) for port in range(5000, 5000 + 3 * PARTIES_MAX)]
    lines = drawn(*((flow, True, INVITE) for flow in flows))
    assert len(lines) == len(flows) + PARTIES_MAX
    assert max(map(len, lines)) < GAP_MIN * (PARTIES_MAX + 2)


def test_a_message_in_a_few_words():
    assert what(INVITE) == "INVITE, SDP"
    assert what(b"BYE sip:a@b SIP/2.0\r\n\r\n") == "BYE sip:a@b"
    assert what(BUSY) == "486 Busy Here (INVITE)"
    assert what(b"SIP/2.0 200 \x1b]0;owned\x07\r\n\r\n") == "200 ?]0;owned?", "no one writes to this terminal"
    assert what(b"\xff\x00") == "\ufffd?"
    assert what(b"") == ""
