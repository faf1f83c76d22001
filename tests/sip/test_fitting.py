"""Two offers, each made into an answer to the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.fitting import as_answer

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
EVENTS = "rtpmap:101 telephone-event/8000"
VIDEO = b"m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"


def sdp(*streams):
    return HEAD + b"".join(streams)


def audio(formats, *attributes, port=4000):
    lines = "".join(f"a={line}\r\n" for line in attributes)
    return f"m=audio {port} RTP/AVP {formats}\r\n{lines}".encode()


def test_what_fits_is_left_as_it_is():
    mine, theirs = sdp(audio("8 0 101", EVENTS)), sdp(audio("0"))
    assert as_answer(mine, theirs) == mine
    assert as_answer(theirs, mine) == theirs


def test_a_codec_is_known_by_its_name_whatever_its_number():
    mine, theirs = sdp(audio("96", "rtpmap:96 OPUS/48000/2")), sdp(audio("111 18", "rtpmap:111 opus/48000/2"))
    assert as_answer(mine, theirs) == mine
    assert as_answer(sdp(audio("97", "rtpmap:97 PCMU/8000/1")), sdp(audio("0"))) is not None


def test_there_is_a_stream_for_each_of_the_offers_and_no_more():
    both, one = sdp(audio("0"), VIDEO), sdp(audio("0"))
    assert as_answer(both, one) == one
    assert as_answer(one, both) == one + b"m=video 0 RTP/AVP 96\r\n"
    assert as_answer(sdp(VIDEO, audio("0")), both) is None, "their order counts"


@pytest.mark.parametrize(
    "other",
    [
        sdp(audio("18")),
        sdp(audio("101", EVENTS)),
        sdp(audio("0", port=0)),
        sdp(audio("0", "sendonly")),
        sdp(audio("0").replace(b"RTP/AVP", b"RTP/SAVP")),
        sdp(audio("0")).replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 0.0.0.0"),
        HEAD,
        b"",
    ],
)
def test_what_does_not_fit(other):
    mine = sdp(audio("0 101", EVENTS))
    assert as_answer(other, mine) is None
    assert as_answer(mine, other) is None


LINES = st.sampled_from(
    [
        b"m=audio 1 RTP/AVP 0",
        b"m=audio",
        b"m=",
        b"m=audio 1",
        b"a=rtpmap:0",
        b"a=rtpmap:",
        b"a=sendonly",
        b"c=IN",
        b"",
        b"\rm=audio 1 RTP/AVP 0",
    ]
)


@given(st.lists(LINES, max_size=12), st.lists(LINES, max_size=12))
def test_anything_can_be_read(one, other):
    as_answer(b"\r\n".join(one), b"\n".join(other))
