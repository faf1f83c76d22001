"""Dialogs (RFC 3261 section 12): made from messages, advanced by messages, written down and read back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.model.address import Address
from mediaha.sip.dialog import Dialog, OutOfOrder
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Headers, Request
from mediaha.sip.target import TCP, TLS, UDP, Target

ROUTES = [("Record-Route", "<sip:p2.test;lr>, <sip:p1.test:5070;lr>;x=1"), ("Record-Route", "<sip:p0.test;lr>")]


def invite(*extra: tuple[str, str], contact: str = "<sip:alice@192.0.2.1:5066;transport=udp>") -> Request:
    fields = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("From", '"Alice, A" <sip:alice@a.test>;tag=ta'),
        ("To", "<sip:bob@b.test>"),
        ("Call-ID", "c1"),
        ("CSeq", "7 INVITE"),
        *([("Contact", contact)] if contact else []),
        *extra,
    ]
    return Request("INVITE", "sip:bob@b.test", Headers(fields))


def in_dialog(method: str, cseq: int, contact: str = "", to_tag: str = "tb") -> Request:
    fields = [
        ("From", "<sip:alice@a.test>;tag=ta"),
        ("To", f"<sip:bob@b.test>;tag={to_tag}"),
        ("Call-ID", "c1"),
        ("CSeq", f"{cseq} {method}"),
        *([("Contact", contact)] if contact else []),
    ]
    return Request(method, "sip:us@192.0.2.2", Headers(fields))


def test_the_callees_side_is_made_from_the_invite():
    """Section 12.1.1: the route set keeps its order."""
    dialog = Dialog.from_request(invite(*ROUTES), "tb")
    assert dialog == Dialog(
        call_id="c1",
        local_tag="tb",
        remote_tag="ta",
        local="<sip:bob@b.test>",
        remote='"Alice, A" <sip:alice@a.test>',
        remote_target="sip:alice@192.0.2.1:5066;transport=udp",
        route_set=("<sip:p2.test;lr>", "<sip:p1.test:5070;lr>;x=1", "<sip:p0.test;lr>"),
        local_cseq=0,
        remote_cseq=7,
    )
    assert dialog.confirm().confirmed
    assert dialog.next_hop() == Address("p2.test", 5060)


def test_the_callers_side_is_made_from_the_response_with_the_routes_reversed():
    """Section 12.1.2."""
    request = invite()
    ok = invite(*ROUTES).response(200, to_tag="tb", headers=[("Contact", "<sip:bob@192.0.2.9>")])
    dialog = Dialog.from_response(request, ok)
    assert dialog.route_set == ("<sip:p0.test;lr>", "<sip:p1.test:5070;lr>;x=1", "<sip:p2.test;lr>")
    assert (dialog.local_tag, dialog.remote_tag, dialog.local_cseq, dialog.remote_cseq) == ("ta", "tb", 7, None)
    assert dialog.confirmed
    assert not Dialog.from_response(
        request, request.response(180, to_tag="tb", headers=[("m", "<sip:b@x>")])
    ).confirmed
    ack = dialog.ack(7)
    assert (ack.method, ack.uri, str(ack.cseq)) == ("ACK", "sip:bob@192.0.2.9", "7 ACK")
    assert ack.headers.all("Route") == list(dialog.route_set)


def test_a_request_in_the_dialog_has_all_that_12_2_1_1_asks_for():
    dialog = Dialog.from_request(invite(), "tb").confirm()
    after, bye = dialog.request("BYE", headers=[("Reason", "SIP;cause=200")])
    assert after.local_cseq == 1
    assert dialog.local_cseq == 0
    assert (bye.method, bye.uri) == ("BYE", "sip:alice@192.0.2.1:5066;transport=udp")
    assert list(bye.headers) == [
        ("Max-Forwards", "70"),
        ("From", "<sip:bob@b.test>;tag=tb"),
        ("To", '"Alice, A" <sip:alice@a.test>;tag=ta'),
        ("Call-ID", "c1"),
        ("CSeq", "1 BYE"),
        ("Reason", "SIP;cause=200"),
    ]
    assert dialog.next_hop() == Address("192.0.2.1", 5066)
    _, reinvite = after.request("INVITE", body=b"v=0\r\n", content_type="application/sdp")
    assert (str(reinvite.cseq), reinvite.content_type, reinvite.body) == ("2 INVITE", "application/sdp", b"v=0\r\n")


def test_a_first_hop_that_routes_strictly_gets_itself_as_request_uri():
    """Section 12.2.1.1, the example with a strict router."""
    dialog = Dialog.from_request(
        invite(("Record-Route", "<sip:old.test>"), ("Record-Route", "<sip:p0.test;lr>")), "tb"
    )
    _, bye = dialog.request("BYE")
    assert bye.uri == "sip:old.test"
    assert bye.headers.all("Route") == ["<sip:p0.test;lr>", "<sip:alice@192.0.2.1:5066;transport=udp>"]
    assert dialog.next_hop() == Address("old.test", 5060)


def test_requests_of_the_peer_must_come_in_order():
    dialog = Dialog.from_request(invite(), "tb").received(in_dialog("INFO", 9))
    assert dialog.remote_cseq == 9
    for stale in (9, 8):
        with pytest.raises(OutOfOrder):
            dialog.received(in_dialog("BYE", stale))
    assert dialog.received(in_dialog("BYE", 100)).remote_cseq == 100


def test_a_re_invite_moves_the_target_and_a_bye_does_not():
    dialog = Dialog.from_request(invite(), "tb")
    assert dialog.received(in_dialog("INVITE", 8, "<sip:new@192.0.2.8>")).remote_target == "sip:new@192.0.2.8"
    assert dialog.received(in_dialog("UPDATE", 8)).remote_target == dialog.remote_target
    assert dialog.received(in_dialog("BYE", 8, "<sip:new@192.0.2.8>")).remote_target == dialog.remote_target
    _, mine = dialog.request("INVITE")
    moved = mine.response(200, headers=[("Contact", "<sip:new@192.0.2.8>")])
    assert dialog.answered(moved).remote_target == "sip:new@192.0.2.8"
    assert dialog.answered(mine.response(491)) == dialog


def test_the_2xx_decides_the_route_set_of_an_early_dialog():
    request = invite()
    contact = [("Contact", "<sip:bob@192.0.2.9>")]
    early = Dialog.from_response(request, request.response(180, to_tag="tb", headers=contact))
    confirmed = early.answered(invite(*ROUTES).response(200, to_tag="tb", headers=contact))
    assert confirmed.confirmed
    assert confirmed.route_set[0] == "<sip:p0.test;lr>"


def test_it_knows_its_own_requests():
    dialog = Dialog.from_request(invite(), "tb")
    assert dialog.matches(in_dialog("BYE", 8))
    assert not dialog.matches(in_dialog("BYE", 8, to_tag="other"))


@pytest.mark.parametrize("contact", ["*", "<tel:+123>", "nonsense", "<sip:a@b@c>", "<mailto:a@b.test>"])
def test_a_useless_contact_is_the_senders_fault(contact):
    with pytest.raises(Malformed):
        Dialog.from_request(invite(contact=contact), "tb")


def test_a_peer_of_rfc_2543_is_where_its_from_says():
    dialog = Dialog.from_request(invite(contact=""), "tb")
    assert dialog.remote_target == "sip:alice@a.test"


def test_a_useless_record_route_is_the_senders_fault():
    with pytest.raises(Malformed):
        Dialog.from_request(invite(("Record-Route", "<tel:1>")), "tb")
    with pytest.raises(Malformed):
        Dialog.from_request(invite(*[("Record-Route", "<sip:p.test;lr>")] * 40), "tb")


TEXT = st.text(min_size=0, max_size=20)


@given(
    st.builds(
        Dialog,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        st.lists(TEXT).map(tuple),
        st.integers(0, 2**31),
        st.none() | st.integers(0, 2**31),
        st.booleans(),
        st.booleans(),
    )
)
def test_it_is_written_down_and_read_back(dialog):
    assert msgspec.json.decode(msgspec.json.encode(dialog), type=Dialog) == dialog


def test_the_next_hop_has_the_transport_that_its_uri_names():
    def towards(target, routes=()):
        return Dialog("c", "a", "b", "<sip:a@h>", "<sip:b@h>", target, routes, 1, None)

    assert towards("sip:bob@192.0.2.9:5070;transport=tcp").next_target() == Target(TCP, Address("192.0.2.9", 5070))
    assert towards("sips:bob@192.0.2.9").next_target() == Target(TLS, Address("192.0.2.9", 5061), "192.0.2.9")
    assert towards("sip:bob@192.0.2.9", ("<sip:192.0.2.8;lr>",)).next_target() == Target(
        UDP, Address("192.0.2.8", 5060)
    )
    assert towards("sip:bob@phone.example.test").next_target() is None  # that takes the DNS
    assert towards("sip:bob@phone.example.test").next_uri().host == "phone.example.test"
