"""Bodies of several parts: the session description is found among them, whatever else is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.multipart import PARTS_MAX, is_multipart, session_untrusted

MIXED = "multipart/mixed;boundary=cut"
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
SESSION = f"Content-Type: application/sdp\r\n\r\n{SDP}"
PLACE = "Content-Type: application/pidf+xml\r\nContent-ID: <here@example.test>\r\n\r\n<presence/>"


def body(*parts, cut="cut", line="\r\n"):
    """The parts between their boundaries."""
    text = "".join(f"--{cut}\r\n{part}\r\n" for part in parts) + f"--{cut}--\r\n"
    return text.replace("\r\n", line).encode()


FOUND = {
    "first": (MIXED, body(SESSION, PLACE)),
    "last": (MIXED, body(PLACE, SESSION)),
    "alone": (MIXED, body(SESSION)),
    "a quoted boundary with odd characters": ('Multipart/Mixed; boundary="a (b)+?"', body(SESSION, cut="a (b)+?")),
    "a quote in the boundary": (r'multipart/mixed;boundary="a\"b"', body(SESSION, cut='a"b')),
    "other parameters before the boundary": ("multipart/related; type=x; BOUNDARY=cut", body(SESSION)),
    "words before and after": (MIXED, b"for old readers\r\n" + body(PLACE, SESSION) + b"the end\r\n"),
    "no last boundary": (MIXED, body(PLACE, SESSION).removesuffix(b"\r\n--cut--\r\n")),
    "a session disposition": (MIXED, body(SESSION.replace("\r\n\r\n", "\r\nContent-Disposition: session\r\n\r\n", 1))),
    "folded header lines": (MIXED, body(SESSION.replace(": ", ":\r\n\t", 1))),
    "parts inside a part": (
        MIXED,
        body(PLACE, f"Content-Type: multipart/mixed;boundary=in\r\n\r\n{body(PLACE, SESSION, cut='in').decode()}"),
    ),
    "a part without header fields": (MIXED, body("\r\nplain text", SESSION)),
    "a boundary that begins like another one": (MIXED, body("Content-Type: text/plain\r\n\r\n--cutter", SESSION)),
}

NONE = {
    "no session description": (MIXED, body(PLACE, PLACE)),
    "no boundary named": ("multipart/mixed", body(SESSION)),
    "another boundary named": ("multipart/mixed;boundary=other", body(SESSION)),
    "no parts": (MIXED, b""),
    "one of an early session": (
        MIXED,
        body(SESSION.replace("\r\n\r\n", "\r\nContent-Disposition: early-session\r\n\r\n", 1)),
    ),
    "one that is coded": (
        MIXED,
        body(SESSION.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)),
    ),
    "after the end": (MIXED, body(PLACE) + body(SESSION)),
    "behind too many others": (MIXED, body(*[PLACE] * PARTS_MAX, SESSION)),
}


@pytest.mark.parametrize("name", FOUND)
def test_it_is_found(name):
    assert session_untrusted(*FOUND[name]) == SDP.encode()


@pytest.mark.parametrize("name", NONE)
def test_it_is_not_there(name):
    assert session_untrusted(*NONE[name]) == b""


def test_of_alternatives_the_last_is_the_best():
    better = SESSION.replace("192.0.2.1", "192.0.2.2")
    parts = body(SESSION, better, PLACE, cut="x")
    assert b"192.0.2.2" in session_untrusted("multipart/alternative;boundary=x", parts)
    assert b"192.0.2.1" in session_untrusted("multipart/mixed;boundary=x", parts)


def test_lines_that_end_in_lf_alone():
    assert session_untrusted(MIXED, body(PLACE, SESSION, line="\n")) == SDP.replace("\r\n", "\n").encode()


def test_nobody_looks_into_the_depth():
    inner = SESSION
    for depth in range(200):
        inner = f"Content-Type: multipart/mixed;boundary=b{depth}\r\n\r\n{body(inner, cut=f'b{depth}').decode()}"
    assert session_untrusted(MIXED, body(inner)) == b""


def test_what_is_multipart():
    assert is_multipart("multipart/mixed")
    assert is_multipart(" Multipart/Alternative;boundary=x")
    assert not is_multipart("application/sdp")
    assert not is_multipart("")


@given(
    st.text(max_size=40), st.lists(st.sampled_from([b"--cut", b"--", b"\r\n", b"\n", b"Content-Type: ", b"a", b": "]))
)
def test_no_bytes_make_it_fail(parameters, pieces):
    session_untrusted(f"multipart/mixed;boundary=cut;{parameters}", b"".join(pieces))
    session_untrusted(f"multipart/{parameters}", b"".join(pieces))
