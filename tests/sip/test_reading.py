"""Messages are read from bytes and written to bytes (RFC 3261 section 7)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.errors import Malformed
from mediaha.sip.fields import name_addrs_untrusted
from mediaha.sip.message import Headers, MessageError, Request, Response
from mediaha.sip.reading import SizeLimits, message_untrusted

# The INVITE and its 200 of section 24.2, as a proxy leaves them (F4, F11), with our own body.
BODY = b"v=0\r\no=alice 53655765 2353687637 IN IP4 pc33.atlanta.com\r\ns=-\r\nt=0 0\r\n"


def lines(*text: str, body: bytes = b"") -> bytes:
    """A message of these lines."""
    return "\r\n".join([*text, "", ""]).encode() + body


INVITE = lines(
    "INVITE sip:bob@biloxi.com SIP/2.0",
    "Via: SIP/2.0/UDP bigbox3.site3.atlanta.com;branch=z9hG4bK77ef4c2312983.1",
    "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=192.0.2.1",
    "Max-Forwards: 69",
    "To: Bob <sip:bob@biloxi.com>",
    "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
    "Call-ID: a84b4c76e66710",
    "CSeq: 314159 INVITE",
    "Contact: <sip:alice@pc33.atlanta.com>",
    "Content-Type: application/sdp",
    f"Content-Length: {len(BODY)}",
    body=BODY,
)


def test_an_invite_is_read():
    invite = message_untrusted(INVITE)
    assert isinstance(invite, Request)
    assert (invite.method, invite.uri, invite.max_forwards) == ("INVITE", "sip:bob@biloxi.com", 69)
    assert invite.request_uri.host == "biloxi.com"
    assert invite.via.branch == "z9hG4bK77ef4c2312983.1"
    assert invite.via.sent_by == "bigbox3.site3.atlanta.com:5060"
    assert (invite.from_.display, invite.from_.uri, invite.from_tag) == (
        "Alice",
        "sip:alice@atlanta.com",
        "1928301774",
    )
    assert invite.to_tag == ""
    assert str(invite.cseq) == "314159 INVITE"
    assert invite.call_id == "a84b4c76e66710"
    assert invite.contact is not None
    assert invite.contact.uri == "sip:alice@pc33.atlanta.com"
    assert invite.content_type == "application/sdp"
    assert invite.body == BODY
    assert invite.to_bytes() == INVITE


def test_a_response_copies_what_it_must():
    """Section 8.2.6.2, and Record-Route of section 12.1.1."""
    invite = message_untrusted(INVITE.replace(b"Contact:", b"Record-Route: <sip:p1.test;lr>\r\nContact:"))
    assert isinstance(invite, Request)
    ok = invite.response(200, to_tag="a6c85cf", headers=[("Contact", "<sip:bob@192.0.2.4>")])
    assert ok.to_bytes() == lines(
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP bigbox3.site3.atlanta.com;branch=z9hG4bK77ef4c2312983.1",
        "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=192.0.2.1",
        "To: Bob <sip:bob@biloxi.com>;tag=a6c85cf",
        "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE",
        "Record-Route: <sip:p1.test;lr>",
        "Contact: <sip:bob@192.0.2.4>",
        "Content-Length: 0",
    )
    read = message_untrusted(ok.to_bytes())
    assert isinstance(read, Response)
    assert (read.status, read.reason, read.to_tag) == (200, "OK", "a6c85cf")
    assert "Record-Route" not in invite.response(486, to_tag="x").headers
    assert invite.response(799).reason == "Unknown"
    assert invite.response(499).reason == "Bad Request"


def test_compact_forms_folded_lines_and_lists_mean_the_same():
    folded = lines(
        "OPTIONS sip:bob@biloxi.com SIP/2.0",
        "v: SIP/2.0/UDP first.test;branch=z9hG4bK1 ,",
        "  SIP/2.0/UDP second.test;branch=z9hG4bK2",
        "t : Bob",
        "\t <sip:bob@biloxi.com>",
        'F:"A, lice" <sip:alice@atlanta.com>;tag=1',
        "i: abc",
        "CSEQ:   1",
        "   OPTIONS",
        'm: "One, two" <sip:one@a.test;x=1,2>;q=0.5, <sip:two@a.test>',
        "m: sip:three@a.test;q=0.1",
        "l: 0",
    )
    request = message_untrusted(folded)
    assert request.via.branch == "z9hG4bK1"
    assert request.to.uri == "sip:bob@biloxi.com"
    assert request.from_.display == '"A, lice"'
    assert str(request.cseq) == "1 OPTIONS"
    contacts = name_addrs_untrusted(request.headers.all("Contact"))
    assert [contact.uri for contact in contacts] == ["sip:one@a.test;x=1,2", "sip:two@a.test", "sip:three@a.test"]
    assert contacts[2].parameter("q") == "0.1"
    assert request.headers.get("Call-ID") == request.headers.get("i") == "abc"
    again = message_untrusted(request.to_bytes())
    assert again.headers == request.headers


def test_what_we_do_not_understand_is_kept_as_it_was():
    strange = INVITE.replace(b"Contact:", 'P-Odd_Name:  ä;;"x\\" ,=  \r\nContact:'.encode())
    request = message_untrusted(strange)
    assert request.headers.get("p-odd_name") == 'ä;;"x\\" ,='
    assert b'P-Odd_Name: \xc3\xa4;;"x\\" ,=\r\n' in request.to_bytes()


def test_a_message_in_latin_1_goes_back_byte_for_byte():
    old_phone = INVITE.replace(b"From: Alice", b'From: "J\xf6rg"')
    request = message_untrusted(old_phone)
    assert isinstance(request, Request)
    assert request.from_.display == '"Jörg"'
    assert request.to_bytes() == old_phone
    assert b'"J\xf6rg"' in request.response(200, to_tag="x").to_bytes()


def test_content_length_rules_over_a_datagram():
    """Section 18.3."""
    length = f"Content-Length: {len(BODY)}".encode()
    assert message_untrusted(INVITE + b"trailing").body == BODY
    assert message_untrusted(INVITE.replace(length + b"\r\n", b"")).body == BODY
    assert message_untrusted(INVITE.replace(length, b"Content-Length: 3")).body == b"v=0"
    for wrong in (b"Content-Length: 9999", b"Content-Length: -1", b"Content-Length: 1x", length + b"\r\nl: 3"):
        with pytest.raises(MessageError) as caught:
            message_untrusted(INVITE.replace(length, wrong))
        assert caught.value.status == 400
        assert caught.value.request is not None


def test_empty_lines_before_a_message_are_ignored():
    assert message_untrusted(b"\r\n\r\n" + INVITE).to_bytes() == INVITE


@pytest.mark.parametrize("hostile", [b"a\nRoute: <sip:x>", b"a\rb", b"a\0b", b"a\n\rb"])
def test_nothing_in_a_header_can_end_its_line(hostile):
    with pytest.raises(MessageError) as caught:
        message_untrusted(INVITE.replace(b"Max-Forwards: 69", b"Subject: " + hostile))
    assert caught.value.request is None
    with pytest.raises(MessageError):
        message_untrusted(INVITE.replace(b"INVITE sip:bob@biloxi.com SIP/2.0", b"SIP/2.0 200 OK " + hostile))


def test_what_we_write_cannot_break_out_of_its_line_either():
    with pytest.raises(ValueError, match="line break"):
        Request("OPTIONS", "sip:a", Headers([("Reason", "x\r\nRoute: <sip:evil>")])).to_bytes()
    with pytest.raises(ValueError, match="line break"):
        Response(500, "it\nbroke", Headers()).to_bytes()


def test_sizes_are_limited_and_said():
    for large in (
        INVITE.replace(b"Contact:", b"Subject: " + b"x" * 40_000 + b"\r\nContact:"),
        INVITE.replace(b"Contact:", b"Subject: x\r\n" * 250 + b"Contact:"),
    ):
        with pytest.raises(MessageError) as caught:
            message_untrusted(large)
        assert caught.value.status == 513
        assert caught.value.request is not None
        assert caught.value.request.call_id == "a84b4c76e66710"
    assert message_untrusted(INVITE, SizeLimits(len(INVITE), 12))


def test_headers_change_by_copying():
    headers = Headers([("Via", "one"), ("v", "two"), ("To", "x")])
    assert headers.with_replaced("Via", "three").all("via") == ["three"]
    assert headers.with_first_value("Via", "three").all("via") == ["three", "two"]
    assert headers.with_first("Via", "zero").all("via") == ["zero", "one", "two"]
    assert list(headers.without("VIA")) == [("To", "x")]
    assert headers.pairs("v", "t") == [("Via", "one"), ("v", "two"), ("To", "x")]
    assert headers.with_replaced("Subject", "s").get("s") == "s"
    assert headers.all("Via") == ["one", "two"]
    assert len(headers) == 3
    assert "Call-ID" not in headers


@given(st.binary(max_size=600))
def test_no_bytes_make_the_reader_fail_otherwise(data):
    total(data)


@given(st.data())
def test_no_mutation_of_a_message_makes_the_reader_fail_otherwise(data):
    message = bytearray(
        data.draw(st.sampled_from([INVITE, INVITE.replace(b"INVITE sip:bob@biloxi.com SIP/2.0", b"SIP/2.0 200 OK")]))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(message)))
        size = data.draw(st.integers(0, 12))
        pieces = st.sampled_from(
            [
                b"",
                b"\r\n",
                b"\n",
                b" ",
                b",",
                b";",
                b'"',
                b"<",
                b">",
                b"\\",
                b"=",
                b":",
                b"\0",
                b"\xff",
                b"\r\n ",
                b"@",
                b"9" * 30,
            ]
        )
        message[at : at + size] = data.draw(st.one_of(pieces, st.binary(max_size=8)))
    total(bytes(message))


def total(data: bytes) -> None:
    """It is read, or refused with MessageError; what was read stays readable, can be written and answered."""
    try:
        message = message_untrusted(data)
    except MessageError as error:
        if error.request is not None:
            error.request.arrived_from("192.0.2.9", 5060).response(error.status, error.reason).to_bytes()
        return
    _ = (message.via, message.from_, message.to, message.cseq, message.call_id)
    again = message_untrusted(message.to_bytes())
    assert again.headers == message.headers
    assert again.body == message.body
    assert again.to_bytes() == message.to_bytes()
    with contextlib.suppress(Malformed):
        _ = message.contact
    if isinstance(message, Request):
        _ = (message.request_uri, message.max_forwards)
        response = message.arrived_from("192.0.2.9", 4242).response(200, to_tag="us")
        assert isinstance(message_untrusted(response.to_bytes()), Response)


VALUES = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=30)


@given(
    st.lists(st.tuples(st.sampled_from(["Subject", "X-Any", "s", "Warning"]), VALUES), max_size=8),
    st.binary(max_size=80),
)
def test_what_is_written_is_read_again(pairs, body):
    invite = message_untrusted(INVITE)
    assert isinstance(invite, Request)
    written = Request("INVITE", invite.uri, invite.headers.with_added(pairs), body)
    read = message_untrusted(written.to_bytes())
    assert read.headers == written.headers
    assert read.body == body
