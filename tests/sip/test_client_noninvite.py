"""Requests other than INVITE, from the client's side (RFC 3261 section 17.1.2)."""

from mediaha.sip.target import UDP, Target
from mediaha.sip.transaction.events import TimedOut, Unreachable
from mediaha.sip.transaction.timers import Timers

from .world import ALICE, BOB, Machine, request


def test_it_is_repeated_at_doubling_intervals_up_to_t2_and_given_up_after_64_t1():
    alice = Machine()
    alice.start(request("OPTIONS"))
    alice.advance(60)
    assert alice.sent_at("OPTIONS") == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert alice.heard == [TimedOut()]
    assert alice.idle
    assert alice.layer.counters.timeouts == 1


def test_a_provisional_response_slows_the_repetition_to_t2():
    alice = Machine()
    alice.start(request("OPTIONS"))
    sent = alice.sent[0][1]
    alice.advance(0.7)
    alice.receive(sent.response(100))
    alice.advance(60)
    assert alice.sent_at("OPTIONS") == [0.0, 0.5, 4.7, 8.7, 12.7, 16.7, 20.7, 24.7, 28.7]
    assert alice.heard[-1] == TimedOut()


def test_the_final_response_is_told_once_and_repetitions_are_absorbed_for_t4():
    alice = Machine()
    alice.start(request("OPTIONS"))
    answer = alice.sent[0][1].response(200, to_tag="bob")
    alice.receive(answer)
    alice.receive(answer)
    alice.advance(4.9)
    assert not alice.idle
    alice.advance(0.2)
    assert alice.idle
    assert [event.status for event in alice.heard] == [200]
    assert alice.layer.counters.retransmissions == 1
    alice.receive(answer)
    assert alice.layer.counters.stray_responses == 1


def test_over_a_reliable_transport_nothing_is_repeated_and_nothing_lingers():
    alice = Machine(Timers(reliable=True))
    alice.start(request("OPTIONS"))
    alice.advance(10)
    assert alice.sent_at("OPTIONS") == [0.0]
    alice.receive(alice.sent[0][1].response(200, to_tag="bob"))
    assert alice.idle


def test_a_closed_port_fails_what_has_heard_nothing_and_nothing_else():
    alice = Machine()
    alice.start(request("OPTIONS", call_id="heard"))
    alice.receive(alice.sent[0][1].response(100))
    alice.start(request("OPTIONS", call_id="unheard"))
    alice.layer.unreachable(Target(UDP, BOB), "Connection refused", alice.now)
    alice.collect()
    assert alice.heard[1:] == [Unreachable("Connection refused")]
    assert alice.layer.open_clients == 1
    alice.advance(60)
    assert alice.idle


def test_a_response_with_a_foreign_via_or_two_is_dropped():
    """Section 18.1.2 and 8.1.3.3: it was not meant for us."""
    alice = Machine()
    alice.start(request("OPTIONS"))
    answer = alice.sent[0][1].response(200, to_tag="bob")
    top = alice.sent[0][1].via.text
    alice.receive(answer.with_headers(answer.headers.with_replaced("Via", top.replace(str(ALICE), "198.51.100.9"))))
    alice.receive(answer.with_headers(answer.headers.with_added([("Via", "SIP/2.0/UDP other;branch=z9hG4bKx")])))
    assert alice.heard == []
    assert alice.layer.counters.stray_responses == 2


def test_a_request_that_fits_no_datagram_fails_at_once():
    alice = Machine()
    alice.start(request("MESSAGE").with_body(b"x" * 70_000, "text/plain"))
    assert [type(event) for event in alice.heard] == [Unreachable]
    assert alice.idle
    assert alice.sent == []


def test_shorter_t1_shortens_everything():
    alice = Machine(Timers(t1=0.1, t2=0.8))
    alice.start(request("BYE", to_tag="bob"))
    alice.advance(10)
    assert alice.sent_at("BYE")[:5] == [0.0, 0.1, 0.3, 0.7, 1.5]
    assert alice.heard == [TimedOut()]
    assert alice.sent_at("BYE")[-1] < 6.4
