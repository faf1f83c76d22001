"""What a B2BUA sees of a session description."""

from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.sdp import (
    Direction,
    Origin,
    Stream,
    direction,
    is_sdp,
    same_places,
    streams,
    with_origin,
    without_origin,
)

OFFER = (
    b"v=0\r\no=alice 2890844526 2890844527 IN IP4 host.atlanta.example.com\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\n"
    b"m=audio 49170 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
    b"m=video 51372/2 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\na=sendonly\r\n"
)
OURS = Origin("-", 42, 7, "198.51.100.1")


def test_the_origin_is_replaced_and_all_else_stays():
    replaced = with_origin(OFFER, OURS)
    assert replaced == OFFER.replace(
        b"o=alice 2890844526 2890844527 IN IP4 host.atlanta.example.com", b"o=- 42 7 IN IP4 198.51.100.1"
    )
    assert without_origin(replaced) == without_origin(OFFER)
    assert Origin("-", 1, 2, "2001:db8::1").line() == b"o=- 1 2 IN IP6 2001:db8::1"


def test_lines_that_end_in_lf_alone_keep_their_ends():
    body = OFFER.replace(b"\r\n", b"\n")
    assert with_origin(body, OURS).splitlines() == with_origin(OFFER, OURS).splitlines()
    assert b"\r" not in with_origin(body, OURS)
    assert streams(body) == streams(OFFER)


def test_streams_say_where_media_goes():
    assert streams(OFFER) == (
        Stream(b"audio", b"49170", b"IN IP4 192.0.2.101", Direction.SENDRECV),
        Stream(b"video", b"51372", b"IN IP6 2001:db8::1", Direction.SENDONLY),
    )
    assert direction(OFFER) is Direction.SENDRECV
    assert direction(OFFER.replace(b"audio 49170", b"audio 0")) is Direction.SENDONLY
    assert direction(b"") is Direction.INACTIVE


def test_a_direction_of_the_session_holds_for_streams_without_their_own():
    held = OFFER.replace(b"t=0 0\r\n", b"t=0 0\r\na=inactive\r\n")
    assert [stream.direction for stream in streams(held)] == [Direction.INACTIVE, Direction.SENDONLY]


def test_held_streams_are_known_in_the_old_way_too():
    assert [stream.held for stream in streams(OFFER)] == [False, True]
    assert streams(OFFER.replace(b"192.0.2.101", b"0.0.0.0"))[0].held


def test_media_moved_or_not():
    assert same_places(OFFER, with_origin(OFFER, OURS))
    assert not same_places(OFFER, OFFER.replace(b"49170", b"49172"))
    assert not same_places(OFFER, OFFER.replace(b"192.0.2.101", b"192.0.2.102"))


def test_what_is_no_session_description():
    assert is_sdp(OFFER)
    assert not is_sdp(b"")
    assert not is_sdp(b"Signal=5\r\nDuration=160\r\n")
    assert not is_sdp(b"v=0\r\n")
    assert not is_sdp(b"v=0\r\no=x\r\nhello\r\n")
    assert with_origin(b"no origin here", OURS) == b"no origin here"


@given(
    st.lists(
        st.sampled_from(
            [
                b"v=0",
                b"o=",
                b"o=- 1 1 IN IP4 x",
                b"m=",
                b"m=audio",
                b"c=",
                b"a=sendonly",
                b"\r",
                b"\n",
                b"\r\n",
                b"\xff",
                b" ",
            ]
        )
    )
)
def test_no_bytes_make_it_fail(parts):
    body = b"".join(parts)
    for look in (is_sdp, streams, direction, without_origin):
        look(body)
    replaced = with_origin(body, OURS)
    assert replaced == body or OURS.line() in replaced
