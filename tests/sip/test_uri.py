"""SIP URIs and Via values (RFC 3261 sections 19.1 and 20.42)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.model.address import Address
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import quoted, via_untrusted
from mediaha.sip.uri import Uri, equivalent, uri_untrusted


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:[2001:db8::10]:5070;lr",
        "tel:+46-8-123;phone-context=example.test",
        "mailto:alice@atlanta.com",
    ],
)
def test_the_examples_of_19_1_3_are_read_and_written(text):
    assert str(uri_untrusted(text)) == text


def test_a_uri_has_its_parts():
    uri = uri_untrusted("SIP:alice:secretword@Atlanta.COM:5070;Transport=TCP;lr?subject=x")
    assert uri == Uri(
        "sip", "alice:secretword", "atlanta.com", 5070, (("transport", "TCP"), ("lr", None)), "subject=x"
    )
    assert (uri.parameter("transport"), uri.parameter("lr"), uri.parameter("maddr")) == ("TCP", "", None)
    assert uri.address() == Address("atlanta.com", 5070)
    assert str(uri.bare()) == "sip:alice:secretword@atlanta.com:5070;transport=TCP;lr"
    assert uri_untrusted("sips:a.test").address() == Address("a.test", 5061)
    assert uri_untrusted("sip:[2001:DB8::1]").address() == Address("2001:db8::1", 5060)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        ":x",
        "sip:@host",
        "sip:a@b@c",
        "sip:host:",
        "sip:host:x",
        "sip:host:99999",
        "sip:[::1",
        "sip:[::g]",
        "sip:a b",
        "sip:<a>",
        'sip:"a"',
        "sip:host;",
        "sip:host;=x",
        "sip:ho%20st",
        "sip:[::1]x",
        "tel:",
        "sip:a\x7f@b",
        "1x:y",
    ],
)
def test_what_is_no_uri_is_refused(text):
    with pytest.raises(Malformed):
        uri_untrusted(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", True),
        (
            "sip:b.com;transport=tcp;method=X?to=sip:bob%40b.com",
            "sip:b.com;method=X;transport=tcp?to=sip:bob%40b.com",
            True,
        ),
        (
            "sip:alice@a.com?subject=project%20x&priority=urgent",
            "sip:alice@a.com?priority=urgent&subject=project%20x",
            True,
        ),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on", False),
        ("sip:carol@chicago.com?Subject=next%20meeting", "sip:carol@chicago.com", False),
    ],
)
def test_the_comparisons_of_19_1_4(one, other, same):
    assert equivalent(uri_untrusted(one), uri_untrusted(other)) is same
    assert equivalent(uri_untrusted(other), uri_untrusted(one)) is same


@given(st.text(max_size=60))
def test_no_text_makes_reading_a_uri_fail_otherwise(text):
    for candidate in (text, f"sip:{text}", f"sip:u@h{text}", f"sip:[{text}]"):
        try:
            uri = uri_untrusted(candidate)
        except Malformed:
            continue
        assert uri_untrusted(str(uri)) == uri


def test_via_notes_where_the_request_really_came_from():
    """RFC 3581 section 4: both parameters, whatever the sender wrote there itself."""
    asked = via_untrusted("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff;received=1.2.3.4")
    assert asked.rport == 0
    assert (
        asked.received_from("192.0.2.1", 9988)
        == "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988"
    )
    plain = via_untrusted("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
    assert plain.received_from("192.0.2.1", 9988) == plain.text
    assert plain.received_from("192.0.2.7", 9988) == "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx;received=192.0.2.7"


def test_only_a_branch_of_rfc_3261_names_a_transaction():
    assert via_untrusted("SIP/2.0/UDP h;branch=z9hG4bKx").unique
    for old in ("SIP/2.0/UDP h", "SIP/2.0/UDP h;branch=1", "SIP/2.0/UDP h;branch=z9hG4bK"):
        assert not via_untrusted(old).unique


def test_text_for_a_reason_header_cannot_break_out():
    assert quoted('all "media" servers\r\nare\\down') == '"all \\"media\\" servers  are\\\\down"'
