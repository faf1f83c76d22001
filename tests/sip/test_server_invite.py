"""INVITE from the server's side (RFC 3261 sections 17.2.1 and 13.3.1.4, RFC 6026)."""

from mediaha.sip.transaction.events import Acknowledged, Cancelled, Incoming, Unacknowledged

from .world import ALICE, BOB, Machine, request


def called(branch: str = "one") -> tuple[Machine, Incoming]:
    """Bob has received an INVITE."""
    bob = Machine(address=BOB)
    bob.receive(request("INVITE", branch=branch), ALICE)
    (event,) = bob.requests
    assert isinstance(event, Incoming)
    return bob, event


def test_a_hundred_is_sent_after_200_ms_when_the_user_says_nothing():
    bob, _ = called()
    bob.advance(5)
    assert bob.sent_at(100) == [0.2]
    bob.receive(request("INVITE", branch="one"), ALICE)
    assert bob.sent_at(100) == [0.2, 5.0]
    assert len(bob.requests) == 1


def test_no_hundred_is_sent_when_the_user_was_quick_and_the_last_response_is_repeated():
    bob, event = called()
    bob.respond(event, 180)
    bob.advance(1)
    bob.receive(request("INVITE", branch="one"), ALICE)
    assert bob.sent_at(100) == []
    assert bob.sent_at(180) == [0.0, 1.0]


def test_a_2xx_is_repeated_until_its_ack_comes():
    bob, event = called()
    bob.respond(event, 200)
    bob.advance(4)
    assert bob.sent_at(200) == [0.0, 0.5, 1.5, 3.5]
    ack = request("ACK", to_tag="bob", branch="ack-has-its-own")
    bob.receive(ack, ALICE)
    bob.receive(ack, ALICE)
    assert bob.requests[1:] == [Acknowledged(bob.requests[-1].request, event.transaction, ALICE)]
    bob.advance(20)
    assert bob.sent_at(200) == [0.0, 0.5, 1.5, 3.5]
    bob.receive(request("INVITE", branch="one"), ALICE)  # RFC 6026: absorbed, not a new call
    assert len(bob.requests) == 2
    bob.advance(9)
    assert bob.idle
    bob.receive(ack, ALICE)
    assert bob.layer.counters.stray_acks == 1


def test_a_2xx_without_ack_is_repeated_to_t2_and_then_told():
    bob, event = called()
    bob.respond(event, 200)
    bob.advance(33)
    assert bob.sent_at(200) == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bob.requests[1:] == [Unacknowledged(event.transaction)]
    assert bob.idle


def test_an_ack_of_a_2xx_that_bears_the_invites_branch_is_taken_too():
    """It breaks section 17.1.1.3, and phones do it."""
    bob, event = called()
    bob.respond(event, 200)
    bob.receive(request("ACK", to_tag="bob", branch="one"), ALICE)
    assert isinstance(bob.requests[-1], Acknowledged)


def test_a_refusal_is_repeated_until_its_ack_comes_which_is_not_told():
    bob, event = called()
    bob.respond(event, 486)
    bob.advance(2)
    assert bob.sent_at(486) == [0.0, 0.5, 1.5]
    ack = request("ACK", to_tag="bob", branch="one")
    bob.receive(ack, ALICE)
    bob.receive(ack, ALICE)
    bob.advance(4.9)
    assert not bob.idle
    bob.advance(0.2)
    assert bob.idle
    assert bob.sent_at(486) == [0.0, 0.5, 1.5]
    assert len(bob.requests) == 1


def test_a_refusal_without_ack_is_forgotten_after_64_t1():
    bob, event = called()
    bob.respond(event, 486)
    bob.advance(33)
    assert bob.sent_at(486) == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bob.idle
    assert len(bob.requests) == 1


def test_a_second_final_response_is_dropped():
    bob, event = called()
    bob.respond(event, 200)
    bob.respond(event, 487)
    assert bob.sent_at(487) == []
    assert bob.layer.counters.late_responses == 1
    bob.advance(40)
    bob.respond(event, 500)
    assert bob.layer.counters.late_responses == 2


def test_a_cancel_is_answered_200_and_told_and_the_user_ends_the_invite():
    bob, event = called()
    bob.respond(event, 180)
    cancel = request("CANCEL", branch="one")
    bob.receive(cancel, ALICE)
    bob.receive(cancel, ALICE)
    assert [type(item) for item in bob.requests] == [Incoming, Cancelled]
    assert bob.requests[1].transaction == event.transaction
    assert bob.sent_at(200) == [0.0, 0.0]
    assert bob.sent[-1][1].to_tag == "bob"  # section 9.2: the same tag as the INVITE's responses
    assert bob.sent[-1][1].cseq.method == "CANCEL"
    bob.respond(event, 487)
    bob.receive(request("ACK", to_tag="bob", branch="one"), ALICE)
    bob.advance(40)
    assert bob.idle


def test_a_cancel_that_comes_too_late_is_answered_and_changes_nothing():
    bob, event = called()
    bob.respond(event, 200)
    bob.receive(request("CANCEL", branch="one"), ALICE)
    assert [type(item) for item in bob.requests] == [Incoming]
    assert bob.sent[-1][1].cseq.method == "CANCEL"
    assert bob.sent[-1][1].status == 200


def test_a_cancel_of_nothing_is_answered_481():
    bob = Machine(address=BOB)
    bob.receive(request("CANCEL", branch="unknown"), ALICE)
    assert bob.sent_at(481) == [0.0]
    assert bob.requests == []
    assert bob.idle


def test_an_ack_of_nothing_gets_no_response():
    bob = Machine(address=BOB)
    bob.receive(request("ACK", to_tag="bob", branch="unknown"), ALICE)
    assert bob.sent == []
    assert bob.layer.counters.stray_acks == 1


def test_a_peer_of_rfc_2543_is_matched_without_a_branch():
    """Section 17.2.3: by Request-URI, From tag, Call-ID, CSeq and topmost Via."""
    bob = Machine(address=BOB)

    def old(method: str, to_tag: str = ""):
        message = request(method, to_tag=to_tag)
        return message.with_headers(message.headers.with_first("Via", f"SIP/2.0/UDP {ALICE.host}"))

    bob.receive(old("INVITE"), ALICE)
    bob.receive(old("INVITE"), ALICE)
    (event,) = bob.requests
    bob.respond(event, 486)
    bob.receive(old("ACK", to_tag="bob"), ALICE)
    bob.advance(5.1)
    assert bob.idle


def test_a_stranger_gets_one_response_for_each_time_that_he_asks_and_nothing_is_kept():
    """RFC 3261 section 8.2.7: or else the address of another in an INVITE would bring him eleven refusals."""
    bob, event = called()
    bob.layer.respond_once(event.transaction, event.request.response(403, to_tag="bob"), bob.now)
    bob.collect()
    assert bob.layer.open_servers == 0
    bob.advance(40)
    assert bob.sent_at(403) == [0.0]
    bob.receive(request("ACK", to_tag="bob", branch="one"), ALICE)
    bob.receive(request("INVITE", branch="one"), ALICE)
    assert isinstance(bob.requests[-1], Incoming), "it is judged anew"
    assert len(bob.requests) == 2
