"""The kinds of message that RFC 4475 lists, in our own words, and what becomes of each."""

import pytest

from mediaha.sip.message import MessageError, Request, Response
from mediaha.sip.reading import message_untrusted


def options(*changes: tuple[str, str], start: str = "OPTIONS sip:user@example.test SIP/2.0", body: str = "") -> bytes:
    """An OPTIONS in which named header lines are replaced, added, or (empty) left out."""
    fields = {
        "Via": "SIP/2.0/UDP host1.example.test;branch=z9hG4bKkdj.1",
        "Max-Forwards": "70",
        "From": "<sip:caller@example.test>;tag=323",
        "To": "sip:user@example.test",
        "Call-ID": "torture.1@host1.example.test",
        "CSeq": "63104 OPTIONS",
        "Content-Length": str(len(body)),
    }
    extra = []
    for name, value in changes:
        if name in fields and not value:
            del fields[name]
        elif name.startswith("+"):
            extra.append((name[1:], value))
        else:
            fields[name] = value
    text = [start, *(f"{name}: {value}" for name, value in [*fields.items(), *extra])]
    return ("\r\n".join(text) + "\r\n\r\n" + body).encode("utf-8", "surrogateescape")


TAKEN = {
    "wide range of characters (3.1.1.2)": options(
        ("CSeq", "139122385 !interesting-Method0123456789_*+`.%indeed'~"),
        ("To", '"BEL:\\\a NUL? DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.test>'),
        ("Call-ID", "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"),
        start="!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.test SIP/2.0",
    ),
    "escapes in URIs (3.1.1.3)": options(start="OPTIONS sip:sips%3Auser%40example.com@example.test SIP/2.0"),
    "escaped nulls (3.1.1.4)": options(start="OPTIONS sip:null-%00-null@example.test SIP/2.0"),
    "a percent sign where it means nothing (3.1.1.5)": options(
        ("CSeq", "1 RE%47IST%45R"), start="RE%47IST%45R sip:registrar.example.test SIP/2.0"
    ),
    "no space between name and bracket (3.1.1.6)": options(("From", "caller<sip:caller@example.test>;tag=323")),
    "long values (3.1.1.7)": options(
        (
            "From",
            f'"{"I have a user name of extreme length " * 20}" <sip:{"long" * 200}@example.test>;tag={"1" * 500}',
        ),
        ("Call-ID", f"longreq.one{'really' * 40}longcallid"),
        ("+Unknown-" + "Long" * 40, "unknown" * 40),
    ),
    "bytes after the end (3.1.1.8)": options() + b"INVITE sip:smuggled@example.test SIP/2.0\r\n\r\n",
    "semicolons in the user part (3.1.1.9)": options(
        start="OPTIONS sip:user;par=u%40example.net@example.test SIP/2.0"
    ),
    "transports of many kinds (3.1.1.10)": options(("Via", "SIP/2.0/UNKNOWN t5.example.test;branch=z9hG4bKkdj.1")),
    "an empty reason phrase (3.1.1.13)": options(start="SIP/2.0 100 "),
    "a reason phrase in UTF-8 (3.1.1.12)": options(start="SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять"),
    "a Via with spaces around its slashes (25.1)": options(("Via", "SIP  / 2.0  / UDP  192.0.2.2;branch=390skdjuw")),
    "a URI scheme that nobody serves (3.3.2)": options(
        start="OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"
    ),
    "no Max-Forwards, as RFC 2543 peers do (3.4.2)": options(("Max-Forwards", "")),
    "a request with bad dates and odd types of body": options(
        ("+Date", "Fri, 01 Jan 2010 16:00:00 EST"), ("+Content-Type", "multipart/mixed;boundary=x"), body="--x--"
    ),
    "an unknown IPv6 reference (RFC 5118 4.1)": options(start="OPTIONS sip:[2001:db8::10] SIP/2.0"),
    "an IPv6 address with a port in Via (RFC 5118 4.6)": options(
        ("Via", "SIP/2.0/UDP [2001:db8::9:1]:6060;received=[2001:db8::9:255];branch=z9hG4bKas3-111")
    ),
}

REFUSED = {
    "separators that no value needs (3.1.2.1)": (options(("Via", "SIP/2.0/UDP 192.0.2.15;;,;,,")), False, 400),
    "Content-Length larger than the message (3.1.2.2)": (options(("Content-Length", "9999")), True, 400),
    "a negative Content-Length (3.1.2.3)": (options(("Content-Length", "-999")), True, 400),
    "a CSeq beyond its range (3.1.2.4)": (options(("CSeq", "36893488147419103232 OPTIONS")), True, 400),
    "a Max-Forwards beyond its range (3.1.2.4)": (options(("Max-Forwards", "300")), True, 400),
    "a response with a status of ten digits (3.1.2.5)": (
        options(start="SIP/2.0 4294967301 better not break"),
        False,
        400,
    ),
    "a quote that is not closed (3.1.2.6)": (options(("To", '"Mr. J. User <sip:j.user@example.test>')), True, 400),
    "angle brackets around the Request-URI (3.1.2.7)": (
        options(start="OPTIONS <sip:user@example.test> SIP/2.0"),
        True,
        400,
    ),
    "a space inside the Request-URI (3.1.2.8)": (
        options(start="OPTIONS sip:user@example.test; lr SIP/2.0"),
        True,
        400,
    ),
    "two spaces in the request line (3.1.2.9)": (options(start="OPTIONS  sip:user@example.test SIP/2.0"), True, 400),
    "a space after the request line (3.1.2.10)": (options(start="OPTIONS sip:user@example.test SIP/2.0  "), True, 400),
    "a display name that needs quotes (3.1.2.15)": (
        options(("From", "Bell, Alexander <sip:a.g.bell@example.test>;tag=43")),
        True,
        400,
    ),
    "an unknown version (3.1.2.16)": (options(start="OPTIONS sip:user@example.test SIP/7.0"), True, 505),
    "a method that differs from CSeq's (3.1.2.17)": (options(("CSeq", "8 INVITE")), True, 400),
    "no From, To or Call-ID (3.3.1)": (options(("From", ""), ("To", ""), ("Call-ID", "")), True, 400),
    "one header several times (3.3.8)": (options(("+CSeq", "59 OPTIONS"), ("+Call-ID", "other")), True, 400),
    "two Content-Lengths (3.3.9)": (options(("+Content-Length", "5"), body="12345"), True, 400),
    "no Via": (options(("Via", "")), False, 400),
    "no URI": (options(start="OPTIONS  SIP/2.0"), True, 400),
    "a line that is no header": (options(("+not a header", "x")), True, 400),
    "a port beyond its range": (options(start="OPTIONS sip:user@example.test:70000 SIP/2.0"), True, 400),
    "a user and a second at-sign": (options(start="OPTIONS sip:a@b@example.test SIP/2.0"), True, 400),
    "an IPv6 address without brackets (RFC 5118 4.2)": (options(start="OPTIONS sip:2001:db8::10 SIP/2.0"), True, 400),
}


@pytest.mark.parametrize("name", TAKEN)
def test_it_is_unusual_and_taken(name):
    message = message_untrusted(TAKEN[name])
    assert isinstance(message, Request | Response)
    assert message_untrusted(message.to_bytes()).headers == message.headers
    assert message.cseq.number > 0


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_wrong_and_refused(name):
    data, answerable, status = REFUSED[name]
    with pytest.raises(MessageError) as caught:
        message_untrusted(data)
    assert caught.value.status == status
    assert (caught.value.request is not None) == answerable


def test_a_call_id_of_the_widest_kind_is_kept():
    request = message_untrusted(TAKEN["wide range of characters (3.1.1.2)"])
    assert request.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"


def test_bytes_after_the_end_are_no_second_request():
    assert message_untrusted(TAKEN["bytes after the end (3.1.1.8)"]).body == b""


def test_the_short_tortuous_invite_is_read():
    """RFC 4475 section 3.1.1.1: folding, compact forms, escapes and spaces wherever the grammar allows them."""
    data = "\r\n".join(
        [
            "INVITE sip:vivekg@chair-dnrc.example.test;unknownparam SIP/2.0",
            "TO :",
            " sip:vivekg@chair-dnrc.example.test ;   tag    = 1918181833n",
            'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.test>',
            "  ;",
            "  tag = 98asjd8",
            "MaX-fOrWaRdS: 0068",
            "Call-ID: wsinv.ndaksdj@192.0.2.1",
            "Content-Length   : 0",
            "cseq: 0009",
            "  INVITE",
            "Via  : SIP  /   2.0",
            " /UDP",
            "    192.0.2.2;branch=390skdjuw",
            "s :",
            "NewFangledHeader:   newfangled value",
            " continued newfangled value",
            "UnknownHeaderWithUnusualValue: ;;,,;;,;",
            "Route:",
            " <sip:services.example.test;lr;unknownwith=value;unknown-no-value>",
            "v:  SIP  / 2.0  / TCP     spindle.example.test   ;",
            "  branch  =   z9hG4bK9ikj8  ,",
            " SIP  /    2.0   / UDP  192.168.255.111   ; branch=",
            " z9hG4bK30239",
            'm:"Quoted string \\"\\"" <sip:jdrosen@example.test> ; newparam =',
            "      newvalue ;",
            "  secondparam ; q = 0.33",
            "",
            "",
        ]
    ).encode()
    invite = message_untrusted(data)
    assert isinstance(invite, Request)
    assert invite.to_tag == "1918181833n"
    assert invite.from_tag == "98asjd8"
    assert str(invite.cseq) == "9 INVITE"
    assert invite.max_forwards == 68
    assert (invite.via.host, invite.via.branch) == ("192.0.2.2", "390skdjuw")
    assert invite.contact is not None
    assert invite.contact.parameter("q") == "0.33"
    assert invite.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
