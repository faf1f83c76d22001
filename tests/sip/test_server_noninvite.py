"""Requests other than INVITE from the server's side (RFC 3261 section 17.2.2), and what the table refuses."""

from mediaha.model.address import Address
from mediaha.sip.target import UDP, Target
from mediaha.sip.transaction.servers import Limits

from .world import ALICE, BOB, Machine, request


def asked(method: str = "OPTIONS", **more) -> tuple[Machine, object]:
    bob = Machine(address=BOB, **more)
    bob.receive(request(method, branch="one"), ALICE)
    return bob, bob.requests[0]


def test_a_repeated_request_gets_the_last_response_again_and_is_told_once():
    bob, event = asked()
    bob.receive(request("OPTIONS", branch="one"), ALICE)
    assert bob.sent == []
    bob.respond(event, 100)
    bob.receive(request("OPTIONS", branch="one"), ALICE)
    bob.respond(event, 200)
    bob.advance(30)
    bob.receive(request("OPTIONS", branch="one"), ALICE)
    assert bob.sent_at(100) == [0.0, 0.0]
    assert bob.sent_at(200) == [0.0, 30.0]
    assert len(bob.requests) == 1
    bob.advance(2.1)
    assert bob.idle


def test_a_request_that_the_user_forgets_is_forgotten_when_its_client_has_given_up():
    bob, event = asked()
    bob.advance(32.1)
    assert bob.idle
    bob.respond(event, 200)
    assert bob.sent == []


def test_responses_go_where_the_request_came_from_when_rport_asks_for_it():
    """RFC 3581 section 4: behind a NAT the port in Via is the wrong one."""
    bob = Machine(address=BOB)
    outside = Address("203.0.113.7", 40_000)
    bob.receive(request("OPTIONS", branch="one"), outside)
    bob.respond(bob.requests[0], 200)
    _, response, target = bob.sent[0]
    assert target == outside
    assert response.via.received == "203.0.113.7"
    assert response.via.rport == 40_000


def test_without_rport_responses_go_to_the_port_in_via_at_the_real_host():
    bob = Machine(address=BOB)
    message = request("OPTIONS")
    via = "SIP/2.0/UDP pc33.example.test:5070;branch=z9hG4bKold;received=198.51.100.66;maddr=198.51.100.77"
    bob.receive(message.with_headers(message.headers.with_first("Via", via)), Address("203.0.113.7", 40_000))
    bob.respond(bob.requests[0], 200)
    _, response, target = bob.sent[0]
    assert target == Address("203.0.113.7", 5070)
    assert response.via.received == "203.0.113.7"


def test_the_same_request_over_another_path_is_refused_with_482():
    """Section 8.2.2.2: a proxy has forked it, and we serve the first copy."""
    bob, event = asked("INVITE")
    bob.receive(request("INVITE", branch="two"), ALICE)
    assert bob.sent_at(482) == [0.0]
    assert len(bob.requests) == 1
    bob.respond(event, 486)
    # Once refused it is not under way any more, so that a proxy may try again.
    bob.receive(request("INVITE", branch="three"), ALICE)
    assert len(bob.requests) == 2


def test_an_invite_that_was_refused_as_merged_is_refused_again_though_the_first_one_is_over_by_then():
    """Its 482 was lost: taken as a call, it would ring somebody who has just declined."""
    bob, event = asked("INVITE")
    merged = request("INVITE", branch="two")
    bob.receive(merged, ALICE)
    bob.respond(event, 486)
    bob.receive(merged, ALICE)
    assert bob.sent_at(482) == [0.0, 0.0]
    assert len(bob.requests) == 1
    bob.receive(request("ACK", to_tag=bob.sent[0][1].to_tag, branch="two"), ALICE)
    bob.advance(40)
    assert bob.idle


def test_a_full_table_refuses_new_calls_first_and_calls_that_end_last():
    bob = Machine(address=BOB, limits=Limits(transactions_max=10))
    for number in range(12):
        bob.receive(request("INVITE", call_id=f"call-{number}", branch=f"b{number}"), ALICE)
    assert len(bob.requests) == 9
    assert bob.sent_at(503) == [0.0] * 3
    assert bob.sent[-1][1].headers.get("Retry-After") == "5"
    bob.receive(request("BYE", call_id="call-1", to_tag="bob", branch="bye"), ALICE)
    assert len(bob.requests) == 10
    assert bob.layer.counters.refused_full == 3


def test_an_invite_that_was_refused_for_want_of_room_is_refused_again_though_there_is_room_by_then():
    """Its sender has been told that nobody is rung. What is remembered of it has an end, and a limit."""
    bob = Machine(address=BOB, limits=Limits(transactions_max=2, remembered_max=2))
    bob.receive(request("OPTIONS", call_id="one", branch="one"), ALICE)
    invites = [request("INVITE", call_id=f"call-{number}", branch=f"b{number}") for number in range(3)]
    for invite in invites[:2]:
        bob.receive(invite, ALICE)
    bob.layer.respond_once(bob.requests[0].transaction, bob.requests[0].request.response(200), 0.0)
    bob.advance(31.9)
    assert bob.layer.open_servers == 0
    bob.receive(invites[1], ALICE)
    assert bob.sent_at(503) == [0.0, 0.0, 31.9]
    assert len(bob.requests) == 1
    bob.advance(32.1)
    bob.receive(invites[1], ALICE)
    assert len(bob.requests) == 2, "by now it is nobody's repetition"


def test_of_the_invites_that_were_refused_for_want_of_room_the_oldest_are_forgotten_first():
    bob = Machine(address=BOB, limits=Limits(transactions_max=2, remembered_max=2))
    bob.receive(request("OPTIONS", call_id="one", branch="one"), ALICE)
    invites = [request("INVITE", call_id=f"call-{number}", branch=f"b{number}") for number in range(3)]
    for invite in invites:
        bob.receive(invite, ALICE)
    bob.layer.respond_once(bob.requests[0].transaction, bob.requests[0].request.response(200), 0.0)
    bob.receive(invites[2], ALICE)
    bob.receive(invites[1], ALICE)
    assert len(bob.requests) == 1
    bob.receive(invites[0], ALICE)
    assert len(bob.requests) == 2


def test_a_user_that_does_not_keep_up_has_new_requests_refused():
    bob = Machine(address=BOB)
    bob.layer.receive(request("OPTIONS", branch="one").to_bytes(), Target(UDP, ALICE), 0.0, accepting=False)
    bob.collect()
    assert bob.sent_at(503) == [0.0]
    assert bob.idle


def test_an_unreadable_request_is_answered_400_once_and_an_unreadable_response_never():
    bob = Machine(address=BOB)
    broken = request("OPTIONS", branch="one").to_bytes().replace(b"Forwards: 70", b"Forwards: many")
    bob.receive(broken, ALICE)
    assert bob.sent_at(400) == [0.0]
    first = bob.sent[0][1].to_tag
    bob.receive(broken, ALICE)
    assert bob.sent[1][1].to_tag == first  # section 8.2.7: a stateless answer is always the same
    bob.receive(broken.replace(b"OPTIONS", b"ACK"), ALICE)
    bob.receive(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP pc33.example.test\r\n\r\n", ALICE)
    bob.receive(b"\r\n\r\n", ALICE)
    bob.receive(b"", ALICE)
    bob.receive(b"hello there, server", ALICE)
    assert len(bob.sent) == 2
    assert bob.layer.counters.malformed == 5
    assert bob.layer.counters.keepalives == 2
    assert bob.idle
