"""Session changes inside a call: hold, resume, offers asked for, two at once, requests passed on, bad requests."""

from __future__ import annotations

import pytest

from mediaha.nets.call import Answered
from tests.nets.story import (
    ANSWER,
    OFFER,
    AnswerMedia,
    DropMedia,
    Fault,
    OfferMedia,
    Party,
    Reply,
    Send,
    SendAck,
    SendCancel,
    Story,
    sdp,
    talking,
)

HOLD = sdp(direction="sendonly", version=2)
HELD = sdp("198.51.100.1", 6000, "recvonly", 2)


@pytest.mark.parametrize("by", list(Party))
def test_a_hold_goes_through_the_pool_both_ways(by):
    story = talking()
    story.asks(by, "INVITE", HOLD)
    tx = story.tx
    question = story.the(OfferMedia)
    assert (question.from_tag, question.to_tag) == (story.call.leg(by).tag, story.call.leg(by.other).tag)
    story.anchored()
    change = story.sent("INVITE", by.other)
    story.responds(change, 200, HELD)
    assert story.the(SendAck)
    answer = story.the(AnswerMedia)
    assert (answer.from_tag, answer.to_tag) == (story.call.leg(by).tag, story.call.leg(by.other).tag)
    assert answer.sdp == HELD
    story.anchored("a", 30002)
    assert [(reply.status, reply.tx) for reply in story.those(Reply)] == [(200, tx)]
    story.acks(by)
    assert story.call.leg(by).sdp == HOLD
    assert story.call.leg(by.other).sdp == HELD
    assert story.call.relay is None


def test_an_update_needs_no_ack():
    story = talking()
    story.asks(Party.CALLER, "UPDATE", HOLD)
    story.anchored()
    story.responds(story.sent("INVITE", Party.CALLEE), 200, HELD)
    story.anchored()
    assert story.the(Reply).status == 200
    story.moved()
    assert len(story.those(Send)) == 2, "nothing is awaited on either leg"


def test_an_update_without_sdp_is_just_answered():
    story = talking()
    story.asks(Party.CALLEE, "UPDATE")
    assert story.the(Reply).status == 200
    assert story.none(OfferMedia)


def test_a_party_that_asks_for_an_offer_gets_the_other_partys():
    story = talking()
    story.asks(Party.CALLEE, "INVITE")
    tx = story.tx
    asked = story.sent("INVITE", Party.CALLER)
    assert asked.request.body == b""
    story.responds(asked, 200, OFFER)
    assert story.none(SendAck)
    assert story.the(OfferMedia).from_tag == story.call.caller.tag
    story.anchored("a", 30000)
    assert story.the(Reply).tx == tx
    story.acks(Party.CALLEE, ANSWER)
    assert story.the(AnswerMedia).to_tag == story.call.callee.tag
    story.anchored("a", 30002)
    assert b"m=audio 30002" in story.the(SendAck).request.body


@pytest.mark.parametrize(("said", "heard"), [(488, 488), (491, 491), (503, 500), (401, 403)])
def test_a_refused_change_leaves_the_call_as_it_was(said, heard):
    story = talking()
    before = story.call.callee.told
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.anchored("a", 30008)
    story.responds(story.sent("INVITE"), said)
    assert story.the(Reply).status == heard
    assert story.call.callee.told == before
    assert story.call.caller.sdp == OFFER
    assert story.none(Send)
    # The pool would re-create the call with the hold otherwise, the next time a server dies.
    assert story.the(OfferMedia).sdp == OFFER
    story.anchored("a", 30000)
    assert story.the(AnswerMedia).sdp == ANSWER
    story.anchored("a", 30002)
    assert story.none(Send)


@pytest.mark.parametrize("status", [408, 481])
def test_a_party_that_knows_no_such_call_ends_it(status):
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.anchored()
    story.responds(story.sent("INVITE"), status)
    assert story.the(Reply).status == 487
    assert story.sent("BYE", Party.CALLER)
    assert len(story.those(Send)) == (2 if status == 408 else 1)


def test_the_pool_refuses_a_change():
    story = talking()
    story.asks(Party.CALLER, "INVITE", b"v=0\r\no=x\r\n")
    story.refused(Fault.CALLER, "no m= line")
    assert story.the(Reply).status == 488
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.refused(Fault.NO_SERVER, "dead")
    assert story.the(Reply).status == 503
    assert isinstance(story.call.phase, Answered)


def test_when_the_answer_cannot_be_anchored_the_other_party_is_told_the_old_again():
    story = talking()
    before = story.call.callee.told
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.anchored("a", 30008)
    story.responds(story.sent("INVITE"), 200, HELD)
    story.refused()
    assert story.the(Reply).status == 503
    again = story.sent("INVITE", Party.CALLEE).request.body
    assert again.split(b"s=-")[1] == before.split(b"s=-")[1]


def test_a_change_is_taken_back():
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    tx = story.tx
    story.anchored("a", 30008)
    change = story.sent("INVITE")
    story.cancels(tx)
    assert story.the(Reply).status == 487
    story.responds(change, 200, HELD)
    assert story.the(SendAck)
    assert story.sent("INVITE", Party.CALLEE), "told again what holds"


def test_a_change_nobody_answers_is_given_up():
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.anchored()
    change = story.sent("INVITE")
    story.responds(change, 180)
    story.waits(33)
    assert story.the(SendCancel).ref == change.ref
    assert story.the(Reply).status == 408
    story.responds(change, 487)
    assert isinstance(story.call.phase, Answered)


@pytest.mark.parametrize("by", list(Party))
def test_hanging_up_in_the_middle_of_a_change(by):
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.anchored()
    change = story.sent("INVITE")
    story.asks(by, "BYE", headers=[("Reason", "Q.850;cause=16")])
    assert {reply.status for reply in story.those(Reply)} == {200, 487}
    bye = story.sent("BYE")
    assert bye.request.headers.get("Reason") == "Q.850;cause=16"
    assert story.the(DropMedia)
    story.responds(bye, 200)
    assert story.over, "whoever has left need not answer the change"
    story.responds(change, 487)
    assert story.last == []


def test_both_hang_up_at_once():
    story = talking()
    story.asks(Party.CALLER, "BYE")
    bye = story.sent("BYE", Party.CALLEE)
    story.asks(Party.CALLEE, "BYE")
    assert story.the(Reply).status == 200
    story.responds(bye, 481)
    assert story.over


def test_the_callee_hangs_up_before_the_caller_has_acknowledged():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 200, ANSWER)
    story.anchored()
    story.asks(Party.CALLEE, "BYE")
    assert story.none(Send), "no BYE before the ACK (RFC 3261 section 15)"
    assert not story.over
    story.acks(Party.CALLER, tx=1)
    bye = story.sent("BYE", Party.CALLER)
    story.responds(bye, 200)
    assert story.over


def test_an_info_and_its_response_are_passed_through():
    story = talking()
    story.asks(Party.CALLEE, "INFO", b"Signal=1", headers=[("X-Secret", "no"), ("Info-Package", "dtmf")])
    tx = story.tx
    info = story.sent("INFO", Party.CALLER)
    assert info.request.body == b"Signal=1"
    assert info.request.headers.get("Content-Type") == "application/dtmf-relay"
    assert info.request.headers.get("Info-Package") == "dtmf"
    assert "X-Secret" not in info.request.headers
    story.responds(info, 415)
    reply = story.the(Reply)
    assert (reply.status, reply.tx) == (415, tx)


def test_an_info_nobody_answers():
    story = talking()
    story.asks(Party.CALLEE, "MESSAGE", b"")
    story.silent(story.sent("MESSAGE"))
    assert story.the(Reply).status == 408
    assert isinstance(story.call.phase, Answered)


def test_requests_out_of_order_and_of_strangers():
    story = talking()
    story.asks(Party.CALLER, "INFO", cseq=5)
    story.asks(Party.CALLER, "INFO", cseq=4)
    assert story.the(Reply).status == 500
    other = talking(seed="another")
    request = other.asks(Party.CALLER, "BYE")
    assert request
    story.asks(Party.CALLER, "INVITE", b"--x", headers=[("Content-Type", "multipart/mixed")], cseq=9)
    assert story.the(Reply).status in {415, 100}


def test_a_change_before_the_call_is_answered_must_wait():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 180)
    story.asks(Party.CALLER, "UPDATE", HOLD)
    assert story.the(Reply).status == 500


def test_stopping_a_call_tells_both_why():
    story = talking()
    story.stops("maintenance")
    for party in Party:
        assert "maintenance" in story.sent("BYE", party).request.headers.get("Reason")


def test_parties_that_are_gone_do_not_hold_a_call_for_ever():
    story = talking()
    story.stops()
    for bye in story.those(Send):
        story.silent(bye)
    assert story.over
