"""A party changes the session while another INVITE is under way: who waits for whom, and for how long."""

from __future__ import annotations

import pytest

from mediaha.nets.call import Answered
from mediaha.nets.written import adopted
from tests.nets.story import (
    ANSWER,
    OFFER,
    OfferMedia,
    Party,
    Reply,
    Send,
    SendAck,
    Story,
    sdp,
    talking,
)

HOLD = sdp(direction="sendonly", version=2)
HELD = sdp("198.51.100.1", 6000, "recvonly", 2)


def goes_through(story, by, tx):
    """The party's change has begun: it goes on to its end."""
    assert story.the(OfferMedia).from_tag == story.call.leg(by).tag
    story.anchored("b", 31002)
    story.responds(story.sent("INVITE", by.other), 200, HELD)
    story.anchored("b", 31000)
    reply = story.the(Reply)
    assert (reply.tx, reply.status) == (tx, 200)
    assert b"m=audio 31000" in reply.body
    story.acks(by, tx=tx)
    assert story.none(Send), "its own change has told it of the new server"


@pytest.mark.parametrize("by", list(Party))
def test_a_party_that_resumes_as_its_server_dies_has_its_way(by):
    """Its INVITE and ours cross. It refuses ours, as it must; its own goes on as soon as the other party is free."""
    story = talking()
    story.moved()
    ours, theirs = story.sent("INVITE", by), story.sent("INVITE", by.other)
    story.asks(by, "INVITE", HOLD)
    tx = story.tx
    assert story.last == []
    story.responds(ours, 491)
    assert story.last == [], "the other one has our INVITE yet"
    story.responds(theirs, 200, ANSWER if by is Party.CALLER else OFFER)
    assert story.the(SendAck)
    goes_through(story, by, tx)


def test_a_party_that_takes_ours_has_its_own_next():
    story = talking()
    story.moved()
    ours, theirs = story.sent("INVITE", Party.CALLER), story.sent("INVITE", Party.CALLEE)
    story.responds(theirs, 200, ANSWER)
    story.asks(Party.CALLER, "UPDATE", HOLD)
    tx = story.tx
    story.responds(ours, 200, OFFER)
    assert story.the(SendAck)
    goes_through(story, Party.CALLER, tx)


def test_two_that_wait_for_one_another_are_parted():
    """The other side is a NeTS as well, perhaps."""
    story = talking()
    story.moved()
    ours, theirs = story.sent("INVITE", Party.CALLER), story.sent("INVITE", Party.CALLEE)
    story.responds(theirs, 200, ANSWER)
    story.asks(Party.CALLER, "INVITE", HOLD)
    tx = story.tx
    story.waits(0.5)
    assert [(reply.tx, reply.status) for reply in story.those(Reply)] == [(tx, 491)]
    story.responds(ours, 491)
    story.waits()
    assert b"m=audio 31000" in story.sent("INVITE", Party.CALLER).request.body, "told again after its pause"


def test_of_two_changes_at_once_one_comes_after_the_other():
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    first = story.tx
    story.anchored()
    change = story.sent("INVITE", Party.CALLEE)
    story.asks(Party.CALLEE, "INVITE", HELD)
    second = story.tx
    assert story.last == []
    story.responds(change, 491)
    assert [(reply.tx, reply.status) for reply in story.those(Reply)] == [(first, 491)]
    story.anchored()  # what held before is the pool's again
    story.anchored()
    story.anchored()
    story.responds(story.sent("INVITE", Party.CALLER), 200, OFFER)
    story.anchored()
    assert [(reply.tx, reply.status) for reply in story.those(Reply)] == [(second, 200)]


def test_a_party_whose_change_waits_is_asked_nothing_meanwhile():
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.asks(Party.CALLEE, "INVITE", HELD)
    story.moved()
    assert story.last == []


def test_the_callee_changes_something_before_the_caller_has_acknowledged():
    """Phones do so that settle on one codec, and gateways that hear a fax."""
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.anchored("a", 30002)
    story.asks(Party.CALLEE, "INVITE", HELD)
    tx = story.tx
    assert story.last == []
    story.acks(Party.CALLER, tx=1)
    assert story.the(OfferMedia).sdp == HELD
    story.anchored("a", 30002)
    story.responds(story.sent("INVITE", Party.CALLER), 200, OFFER)
    story.anchored("a", 30000)
    assert [(reply.tx, reply.status) for reply in story.those(Reply)] == [(tx, 200)]


def waiting():
    """A call whose callee's change waits for the caller's."""
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.asks(Party.CALLEE, "INVITE", HELD)
    return story


@pytest.mark.parametrize("party", list(Party))
def test_nobody_has_two_changes_at_once(party):
    story = waiting()
    story.asks(party, "INVITE", HOLD)
    reply = story.the(Reply)
    assert reply.status == 500, "RFC 3261 section 14.2"
    assert 0 <= int(dict(reply.headers)["Retry-After"]) <= 10


def test_a_change_that_waits_is_taken_back():
    story = waiting()
    tx = story.tx
    story.cancels(tx)
    assert [(reply.tx, reply.status) for reply in story.those(Reply)] == [(tx, 487)]
    assert not story.call.waiting
    assert isinstance(story.call.phase, Answered)


@pytest.mark.parametrize("by", list(Party))
def test_hanging_up_while_a_change_waits(by):
    story = waiting()
    first, second = story.tx - 1, story.tx
    story.asks(by, "BYE")
    replies = {reply.tx: reply.status for reply in story.those(Reply)}
    assert replies == {first: 487, second: 487, story.tx: 200}


def test_a_call_read_back_has_nobody_waiting():
    """The transaction was the old instance's."""
    assert not adopted(waiting().call, 0.0).waiting
