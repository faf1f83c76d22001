"""Hostile streams: however the bytes of a connection are cut into segments, the same messages are taken from them."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediaha.sip.transport.framing import PING
from tests.fuzz.stage import CALLER, play


def message(method="OPTIONS", body=b"", length=None, more=b""):
    """With ``{}`` in place of its number, which makes it another transaction each time."""
    length = b"Content-Length: %d" % len(body) if length is None else length
    return (
        b"%s sip:desk@desk.test SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.5:5062;branch=z9hG4bK{}\r\n"
        b"From: <sip:ann@pbx.test>;tag=ann\r\nTo: <sip:desk@desk.test>\r\nCall-ID: stream-{}\r\nCSeq: 1 %s\r\n%s"
        b"Max-Forwards: 70\r\nContact: <sip:ann@203.0.113.5:5062>\r\n%s\r\n\r\n%s"
        % (method.encode(), method.encode(), more, length, body)
    )


GOOD = (
    message(), message("FOO"), message("MESSAGE", b"hello\r\n\r\nOPTIONS sip:x SIP/2.0\r\n"), message("REGISTER"),
    message(length=b"l : 0"), message(more=b"Subject: folded\r\n over lines\r\n"), message("INVITE", b"nonsense"),
    message(more=b"X: " + b"x" * 9000 + b"\r\n"),
)  # fmt: skip
BREAKS = (PING, b"\r\n", PING * 3, b"\r\n" * 501)
LIES = (
    message("MESSAGE", b"0123456789", b"Content-Length: 4"), message("MESSAGE", b"0123", b"Content-Length: 400"),
    message(length=b"Content-Length: 0\r\nContent-Length: 7"), message(length=b"X: 1"), message(length=b"l: -1"),
    message(length=b"Content-Length: 99999999999"), message(length=b"Content-Length: 70000"),
    message(more=b"Subject: a\nContent-Length: 9\r\n"), b"\n", b"\r", b"\0" * 9, b"SIP/2.0 200 OK\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00", b"A" * 40_000, message()[:60],
    b"ACK " + message()[8:], b"OPTIONS sip:\xff\xfe SIP/2.0\r\nl: 0\r\n\r\n",
)  # fmt: skip
PIECES = st.lists(st.sampled_from(GOOD) | st.sampled_from(GOOD) | st.sampled_from(BREAKS) | st.sampled_from(LIES))


def written(pieces):
    """The bytes of a stream: each message in it is a request of its own."""
    return b"".join(piece.replace(b"{}", b"%d" % number) for number, piece in enumerate(pieces))


def answers(segments):
    """What NeTS says on a connection on which this comes, in any order, and the messages that it has taken from it."""
    said, taken = [], []

    async def act(stage):
        stage.on_heard = lambda data, way, lost: said.append(data)
        stage.on_taken = taken.append
        stream = stage.tcp.connected_by(CALLER)
        for segment in segments:
            stream.says(segment)
            await stage.settles()
        await stage.waits(40.0)
        assert not stage.faults, stage.faults[0]
        stream.ends()
        await stage.waits(400.0)
        assert not stage.faults, stage.faults[0]
        assert not stage.tcp.connections
        assert stage.endpoint.open_transactions == (0, 0)
        assert not any(stage.carrier.tables.sizes().values())

    play(act)
    return sorted(said), taken


@settings(max_examples=25, deadline=None, derandomize=True)
@given(PIECES, st.lists(st.integers(1, 3000), max_size=40))
@example([LIES[0], GOOD[0]], [])
@example([GOOD[0], message()[:60]], [])
def test_a_stream_means_the_same_however_it_is_cut(pieces, sizes):
    stream = written(pieces)
    segments, at = [], 0
    for size in sizes:
        segments.append(stream[at : at + size])
        at += size
    segments.append(stream[at:])
    said, taken = answers([stream])
    assert answers([one for one in segments if one]) == (said, taken)
    assert len(said) <= 12 * len(taken), "an INVITE's refusal may be repeated, nothing else"


def test_a_stream_means_the_same_byte_by_byte():
    stream = written([GOOD[0], GOOD[2], PING, GOOD[5], LIES[0], GOOD[0]])
    said, taken = answers([stream])
    assert answers([stream[at : at + 1] for at in range(len(stream))]) == (said, taken)
    numbers = [int(re.search(rb"branch=z9hG4bK(\d+)", one)[1]) for one in taken]
    assert numbers == [0, 1, 3, 4, 5]
    (answer,) = (one for one in said if b"stream-5" in one)
    assert answer.startswith(b"SIP/2.0 400"), "what begins with the rest of a lie is no request"


def test_a_thousand_requests_in_one_segment_are_a_thousand_answers():
    said, taken = answers([written([GOOD[0]] * 1000)])
    assert len(taken) == 1000
    assert len(said) == 1000
    assert {one[:11] for one in said} == {b"SIP/2.0 200"}, "whoever sends more than we read waits, as TCP has it"
