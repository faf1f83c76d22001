"""Several places: which one a request leaves by, what its Via says, and what is too large for a datagram (18.1.1)."""

import pytest

from mediaha.model.address import Address
from mediaha.sip.message import Request
from mediaha.sip.target import TCP, TLS, UDP, Place, Target
from mediaha.sip.transaction.events import TimedOut, Unreachable
from mediaha.sip.transaction.ways import Ways

from .world import ALICE, BOB, Machine, request

HOME = Address("192.0.2.1", 5060)
HOME6 = Address("2001:db8::1", 5060)
INSIDE = Address("10.0.0.1", 5060)
PLACES = (
    Place(UDP, HOME, "udp"),
    Place(UDP, INSIDE, "inside"),
    Place(UDP, HOME6, "udp6", ipv6=True),
    Place(TCP, INSIDE, "tcp inside"),
    Place(TCP, HOME, "tcp"),
    Place(TLS, Address("192.0.2.1", 5061), "tls"),
)
REFUSED = "Connection refused"


def test_a_target_leaves_by_the_first_place_that_reaches_it():
    ways = Ways(PLACES)
    assert ways.to(BOB).target.listener == "udp"
    assert ways.to(Address("2001:db8::2", 5060)).target.listener == "udp6"
    assert ways.to(Target(TLS, BOB, "example.test")).via == "SIP/2.0/TLS 192.0.2.1:5061;rport;branch=z9hG4bK"
    assert ways.to(Target(UDP, BOB, listener="inside")).via.startswith("SIP/2.0/UDP 10.0.0.1:5060;")


def test_what_no_place_reaches_is_unreachable():
    ways = Ways(PLACES)
    assert ways.to(Target(TCP, Address("2001:db8::2", 5060))) is None
    assert ways.to(Target(UDP, BOB, listener="nowhere")) is None
    assert ways.to(Target(TCP, BOB, listener="udp")) is None
    alice = Machine()
    alice.start(request("OPTIONS"), Target(TLS, BOB, "example.test"))
    assert isinstance(alice.heard[0], Unreachable)
    assert alice.idle


def test_names_of_listeners_are_unique():
    with pytest.raises(ValueError, match="two listeners"):
        Ways([Place(UDP, HOME, "one"), Place(TCP, HOME, "one")])


def large(method: str = "INVITE") -> Request:
    return request(method).with_body(b"v=0\r\n" + b"a=x\r\n" * 300, "application/sdp")


def both(**changes) -> Machine:
    return Machine(places=[Place(UDP, ALICE, "udp"), Place(TCP, ALICE, "tcp")], **changes)


def test_a_large_request_goes_over_tcp_and_a_small_one_over_udp():
    alice = both()
    alice.start(request("OPTIONS"))
    alice.start(large())
    assert [target.transport for target in alice.targets] == [UDP, TCP]
    assert [message.via.transport for _, message, _ in alice.sent] == [UDP, TCP]
    alice.advance(31)
    assert alice.sent_at("INVITE") == [0.0]  # over TCP nothing is repeated


def test_to_a_phone_behind_a_nat_it_stays_with_udp():
    alice = both()
    alice.layer.send(large(), BOB, alice.heard.append, 0.0, widens=False)
    alice.collect()
    assert [target.transport for target in alice.targets] == [UDP]


def test_without_a_tcp_listener_it_stays_with_udp():
    alice = Machine()
    alice.start(large())
    assert [target.transport for target in alice.targets] == [UDP]


def test_a_large_request_goes_inside_by_the_inside():
    alice = Machine(places=PLACES)
    alice.start(large(), Target(UDP, BOB, listener="inside"))
    assert alice.targets == [Target(TCP, BOB, listener="tcp inside")]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_where_tcp_is_refused_it_is_sent_by_udp_after_all(method):
    alice = both()
    key = alice.start(large(method))
    alice.advance(2)
    alice.refuse(alice.targets[0], REFUSED)
    assert alice.heard == []
    assert [target.transport for target in alice.targets] == [TCP, UDP]
    again = alice.sent[1][1]
    assert (again.via.branch, again.via.transport) == (key.branch, UDP)
    alice.advance(1)
    assert alice.sent_at(method) == [0.0, 2.0, 2.5]
    alice.receive(again.response(404, to_tag="bob"))
    assert [event.status for event in alice.heard] == [404]
    if method == "INVITE":
        assert alice.sent[-1][1].via.text == again.via.text  # its ACK
    alice.advance(40)
    assert alice.idle


def test_who_refused_tcp_is_not_asked_again_for_a_while():
    alice = both()
    alice.start(large())
    alice.refuse(alice.targets[0], REFUSED)
    alice.start(large("MESSAGE"))
    assert [target.transport for target in alice.targets] == [TCP, UDP, UDP]
    alice.advance(301)
    count = len(alice.targets)
    alice.start(large("MESSAGE"))
    assert alice.targets[count].transport == TCP


def test_a_cancel_that_waits_survives_the_change_to_udp():
    alice = both()
    key = alice.start(large())
    alice.layer.cancel(key, (), alice.now)
    alice.refuse(alice.targets[0], REFUSED)
    alice.receive(alice.sent[-1][1].response(180, to_tag="bob"))
    assert alice.sent_at("CANCEL") == [0.0]
    assert alice.targets[-1].transport == UDP


def test_when_both_are_refused_it_is_unreachable():
    alice = both()
    alice.start(large())
    alice.refuse(alice.targets[0], REFUSED)
    alice.refuse(alice.targets[1], REFUSED)
    assert alice.heard == [Unreachable(REFUSED)]
    assert alice.idle


def test_a_broken_connection_fails_what_waits_on_it_and_nothing_else():
    alice = both()
    alice.start(request("OPTIONS"), Target(TCP, BOB))
    alice.start(request("OPTIONS", call_id="call-2"), Target(UDP, BOB))
    alice.start(request("OPTIONS", call_id="call-3"), Target(TCP, BOB, connection=7))
    alice.refuse(Target(TCP, BOB, "", "tcp", 7), "closed by the other end")
    assert alice.heard == [Unreachable("closed by the other end")] * 2  # whoever takes any connection had this one
    alice.advance(33)
    assert alice.heard[2:] == [TimedOut()]


def test_an_invite_that_rings_is_not_failed_by_its_connection():
    """Its response may come on another one (section 18.2.2)."""
    alice = both()
    alice.start(request("INVITE"), Target(TCP, BOB))
    invite = alice.sent[0][1]
    alice.receive(invite.response(180, to_tag="bob"))
    alice.refuse(alice.targets[0], "closed by the other end")
    alice.receive(invite.response(200, to_tag="bob"))
    assert [event.status for event in alice.heard] == [180, 200]


FLOW = Target(TCP, Address("192.0.2.1", 40000), "", "tcp", 3)


def test_a_response_goes_back_on_the_connection_of_its_request():
    bob = Machine(places=[Place(TCP, BOB, "tcp")])
    bob.receive(request("OPTIONS", branch="one"), FLOW)
    bob.respond(bob.requests[0], 200)
    assert bob.targets == [FLOW]
    assert bob.idle  # nothing is repeated, so nothing is kept (timer J is zero)


def test_when_that_connection_is_gone_it_goes_to_where_the_sender_listens():
    """Section 18.2.2: the source address, and the port of sent-by."""
    bob = Machine(places=[Place(TCP, BOB, "tcp")])
    bob.receive(request("OPTIONS", branch="one"), FLOW)
    bob.respond(bob.requests[0], 200)
    sent = bob.sent[0][1].to_bytes()
    bob.layer.undelivered(sent, FLOW, "closed", bob.now)
    bob.collect()
    assert bob.targets[1:] == [Target(TCP, Address("192.0.2.1", 5060), "", "tcp")]
    bob.layer.undelivered(sent, bob.targets[1], "refused", bob.now)
    bob.collect()
    assert len(bob.targets) == 2


def test_over_tls_it_goes_nowhere_else():
    bob = Machine(places=[Place(TLS, BOB, "tls")])
    flow = FLOW._replace(transport=TLS, listener="tls")
    bob.receive(request("OPTIONS", branch="one"), flow)
    bob.respond(bob.requests[0], 200)
    bob.layer.undelivered(bob.sent[0][1].to_bytes(), flow, "closed", bob.now)
    bob.collect()
    assert len(bob.sent) == 1
    assert bob.layer.counters.unreachable == 1


def test_a_2xx_is_repeated_over_tcp_too_until_its_ack():
    """Section 13.3.1.4: the ACK comes from the far end, behind proxies that may lose it."""
    bob = Machine(places=[Place(TCP, BOB, "tcp")])
    bob.receive(request("INVITE", branch="one"), FLOW)
    bob.respond(bob.requests[0], 200)
    bob.advance(2)
    assert bob.sent_at(200) == [0.0, 0.5, 1.5]
    bob.receive(request("ACK", to_tag="bob", branch="two"), Target(UDP, ALICE))  # by whatever way it comes
    bob.advance(10)
    assert len(bob.sent_at(200)) == 3
