"""Streams cut into messages (RFC 3261 section 18.3), and the empty lines between them (RFC 5626 section 3.5.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.reading import SizeLimits, message_untrusted
from mediaha.sip.transport.framing import PING, PONG, Framing

from .world import request


def message(body: bytes = b"") -> bytes:
    typed = (
        request("INVITE", branch="one").with_body(body, "application/sdp") if body else request("OPTIONS", branch="1")
    )
    return typed.to_bytes()


def test_messages_that_come_together_are_told_apart():
    one, two = message(b"v=0\r\n"), message()
    assert Framing().feed(one + two + one) == [one, two, one]


@given(st.lists(st.integers(1, 400), max_size=20))
def test_however_a_stream_is_cut_into_reads_the_messages_are_the_same(sizes):
    wanted = [message(b"v=0\r\n\r\nINVITE"), message(), message(b"x" * 300)]
    stream = PING + wanted[0] + wanted[1] + PONG + wanted[2] + PONG
    framing = Framing()
    got, at = [], 0
    for size in [*sizes, len(stream)]:
        got += framing.feed(stream[at : at + size])
        at += size
    assert got == wanted
    assert framing.pings == 1
    assert framing.fault is None
    assert not framing.begun


def test_a_message_that_has_begun_is_known():
    framing = Framing()
    assert framing.feed(message()[:20]) == []
    assert framing.begun
    assert framing.feed(message()[20:]) == [message()]
    assert not framing.begun


def test_two_line_breaks_are_a_ping_however_they_arrive():
    framing = Framing()
    for piece in (b"\r", b"\n", b"\r\n", PING, b"\r\n\r", b"\n"):
        framing.feed(piece)
    assert (framing.pings, framing.pongs) == (3, 0)


def test_a_single_line_break_is_a_pong_when_we_have_pinged():
    framing = Framing()
    framing.pinged()
    framing.feed(PONG)
    assert (framing.pings, framing.pongs) == (0, 1)
    framing.feed(PONG)  # nobody has asked for this one
    assert (framing.pings, framing.pongs) == (0, 1)
    framing.feed(message())
    framing.feed(PONG)  # and it does not make a ping of the next one, after a message
    assert framing.pings == 0


def headed(*lines: str) -> bytes:
    return ("OPTIONS sip:bob@example.test SIP/2.0\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 4"],
        ["content-LENGTH  :4"],
        ["l: 4 "],
        ["Subject: x", "L :\t4", "Via: y"],
        ["Content-Length:", "  4"],
        ["Subject: Content-Length: 9", "l: 004"],
        ["X-Content-Length: 9", "l: 4"],
    ],
)
def test_the_length_is_found_as_it_may_be_written(lines):
    framing = Framing()
    assert framing.feed(headed(*lines) + b"bodyNEXT") == [headed(*lines) + b"body"]
    assert framing.begun


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Subject: no length"], 400),
        (["Content-Length: 4", "Content-Length: 4"], 400),
        (["Content-Length: 4", "l: 0"], 400),
        (["Content-Length: -1"], 400),
        (["Content-Length: +1"], 400),
        (["Content-Length: 0x10"], 400),
        (["Content-Length: 4, 4"], 400),
        (["Content-Length: 1 2"], 400),
        (["Content-Length: ٤"], 400),
        (["Content-Length:"], 400),
        (["Content-Length: 99999999999999"], 400),
        (["Content-Length: 65537"], 513),
        (["Subject: a\nContent-Length: 9", "Content-Length: 4"], 400),
        (["Subject: a\rContent-Length: 9", "Content-Length: 4"], 400),
        (["Subject: a\0", "Content-Length: 4"], 400),
    ],
)
def test_a_length_that_two_readers_could_read_differently_ends_the_stream(lines, status):
    framing = Framing()
    good = message()
    assert framing.feed(good + headed(*lines) + good) == [good]
    assert framing.fault.status == status
    assert framing.fault.head == headed(*lines)
    assert framing.feed(good) == []


def test_a_head_without_end_is_given_up_at_the_limit():
    framing = Framing(SizeLimits(head_bytes_max=1000))
    for _ in range(10):
        framing.feed(b"X: " + b"x" * 97)
    assert framing.fault.status == 513
    assert len(framing.fault.head) == 1000


def test_bare_line_breaks_between_messages_end_the_stream():
    for breaks in (b"\n", b"\r\r\n", b"\r\n\n\r"):
        framing = Framing()
        assert framing.feed(breaks + message()) == []
        assert framing.fault is not None


def test_a_megabyte_of_line_breaks_is_no_work():
    framing = Framing()
    for _ in range(16):
        framing.feed(b"\r\n" * 32768)
    assert framing.pings == 16 * 16384
    assert not framing.begun


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"Content-Length: 3\r\n", b"l:0"])))
def test_no_bytes_break_it(pieces):
    framing = Framing(SizeLimits(head_bytes_max=200, body_bytes_max=50))
    for piece in pieces:
        for found in framing.feed(piece):
            assert len(found) <= 250 + 4
    assert len(framing._buffer) <= 60 * max(1, len(pieces))


def test_what_framing_passes_reading_can_read():
    for found in Framing().feed(message() + message(b"v=0\r\n")):
        message_untrusted(found)
