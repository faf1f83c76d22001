"""INVITE from the client's side (RFC 3261 section 17.1.1, RFC 6026, CANCEL of section 9.1)."""

import pytest

from mediaha.sip.target import UDP, Target
from mediaha.sip.transaction.clients import TransactionsFull
from mediaha.sip.transaction.events import TimedOut, Unreachable
from mediaha.sip.transaction.servers import Limits

from .world import BOB, Machine, kind, request


def ringing(alice: Machine):
    """Alice has called and heard 180."""
    key = alice.start(request("INVITE"))
    invite = alice.sent[0][1]
    alice.receive(invite.response(180, to_tag="bob"))
    return key, invite


def test_it_is_repeated_at_doubling_intervals_without_limit_and_given_up_after_64_t1():
    alice = Machine()
    alice.start(request("INVITE"))
    alice.advance(60)
    assert alice.sent_at("INVITE") == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert alice.heard == [TimedOut()]
    assert alice.idle


def test_a_provisional_response_ends_the_repetition_and_the_call_may_ring_for_minutes():
    alice = Machine()
    ringing(alice)
    alice.advance(170)
    assert alice.sent_at("INVITE") == [0.0]
    assert [event.status for event in alice.heard] == [180]


def test_a_refusal_is_acknowledged_and_so_is_each_repetition_for_timer_d():
    alice = Machine()
    _, invite = ringing(alice)
    busy = invite.response(486, to_tag="bob")
    alice.receive(busy)
    alice.advance(20)
    alice.receive(busy)
    alice.advance(11.9)
    assert not alice.idle
    alice.advance(0.2)
    assert alice.idle
    assert [event.status for event in alice.heard] == [180, 486]
    assert alice.sent_at("ACK") == [0.0, 20.0]


def test_the_ack_of_a_refusal_belongs_to_the_invites_transaction():
    """Section 17.1.1.3 lists what it copies."""
    alice = Machine()
    message = request("INVITE")
    routed = message.with_headers(
        message.headers.with_added([("Route", "<sip:p1.test;lr>"), ("Route", "<sip:p2.test;lr>")])
    )
    alice.start(routed)
    invite = alice.sent[0][1]
    alice.receive(invite.response(486, to_tag="bob"))
    ack = alice.sent[-1][1]
    assert ack.method == "ACK"
    assert ack.uri == invite.uri
    assert ack.headers.all("Via") == [invite.via.text]
    assert ack.headers.all("Route") == ["<sip:p1.test;lr>", "<sip:p2.test;lr>"]
    assert ack.to_tag == "bob"
    assert ack.from_.tag == invite.from_.tag
    assert (ack.call_id, ack.cseq.number) == (invite.call_id, invite.cseq.number)
    assert ack.body == b""


def test_a_repeated_2xx_is_answered_with_the_users_ack_again():
    """Section 13.2.2.4: our ACK was lost, so the 2xx comes again; the user hears of it once."""
    alice = Machine()
    key, invite = ringing(alice)
    ok = invite.response(200, to_tag="bob")
    alice.receive(ok)
    alice.receive(ok)  # before the user has acknowledged: absorbed
    alice.layer.send_ack(request("ACK", to_tag="bob"), BOB, key)
    alice.collect()
    alice.advance(1)
    alice.receive(ok)
    assert [event.status for event in alice.heard] == [180, 200]
    assert alice.sent_at("ACK") == [0.0, 1.0]
    first, second = (message for _, message, _ in alice.sent if kind(message) == "ACK")
    assert first.to_bytes() == second.to_bytes()
    assert first.via.branch != invite.via.branch
    alice.advance(31.5)
    assert alice.idle


def test_a_2xx_of_another_fork_is_told_too_but_not_without_end():
    alice = Machine()
    _, invite = ringing(alice)
    for fork in range(20):
        alice.receive(invite.response(200, to_tag=f"fork{fork}"))
    assert len([event for event in alice.heard if event.status == 200]) == 16
    assert alice.layer.counters.forks_dropped == 4


def test_a_cancel_waits_for_the_first_provisional_response():
    """Section 9.1: before it, the INVITE may not even have arrived."""
    alice = Machine()
    key = alice.start(request("INVITE"))
    invite = alice.sent[0][1]
    alice.layer.cancel(key, [("Reason", "SIP;cause=200")], alice.now)
    alice.collect()
    assert alice.sent_at("CANCEL") == []
    alice.advance(0.3)
    alice.receive(invite.response(100))
    assert alice.sent_at("CANCEL") == [0.3]
    cancel = alice.sent[-1][1]
    assert cancel.via.text == invite.via.text
    assert cancel.uri == invite.uri
    assert cancel.headers.get("To") == invite.headers.get("To")
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    alice.receive(cancel.response(200, to_tag="bob"))
    alice.receive(invite.response(487, to_tag="bob"))
    assert [event.status for event in alice.heard] == [100, 487]
    alice.advance(40)
    assert alice.idle


def test_a_cancelled_invite_that_nobody_ends_is_ended_after_64_t1():
    alice = Machine()
    key, _ = ringing(alice)
    alice.layer.cancel(key, [], alice.now)
    alice.layer.cancel(key, [], alice.now)
    alice.collect()
    alice.advance(40)
    assert alice.sent_at("CANCEL")[0] == 0.0
    assert len(alice.sent_at("CANCEL")) == 11  # one transaction, repeated: the second wish changed nothing
    assert alice.heard[-1] == TimedOut()
    assert alice.idle


def test_an_answer_that_crosses_the_cancel_is_still_told():
    alice = Machine()
    key, invite = ringing(alice)
    alice.layer.cancel(key, [], alice.now)
    alice.receive(invite.response(200, to_tag="bob"))
    assert [event.status for event in alice.heard] == [180, 200]
    alice.layer.cancel(key, [], alice.now)
    alice.collect()
    assert len(alice.sent_at("CANCEL")) == 1


def test_a_closed_port_is_told_at_once():
    alice = Machine()
    alice.start(request("INVITE"))
    alice.layer.unreachable(Target(UDP, BOB), "Connection refused", alice.now)
    alice.collect()
    assert alice.heard == [Unreachable("Connection refused")]
    assert alice.idle


def test_a_full_table_refuses_new_requests():
    alice = Machine(limits=Limits(transactions_max=2))
    alice.start(request("OPTIONS", cseq=1))
    alice.start(request("OPTIONS", cseq=2))
    with pytest.raises(TransactionsFull):
        alice.start(request("OPTIONS", cseq=3))
    alice.advance(40)
    alice.start(request("OPTIONS", cseq=3))
