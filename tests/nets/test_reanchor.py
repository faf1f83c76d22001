"""The media server dies: who is told what, when, and what becomes of everything that was under way."""

from __future__ import annotations

import pytest

from mediaha.nets.call import Answered, Serving, Stranded
from mediaha.nets.written import adopted, read_back, write_down
from tests.nets.story import (
    ANSWER,
    OFFER,
    AnswerMedia,
    DropMedia,
    EndStray,
    Fault,
    OfferMedia,
    Party,
    Reply,
    Send,
    SendAck,
    SendCancel,
    Story,
    Tick,
    replace_rules,
    sdp,
    talking,
)

NEW_CALLER = b"m=audio 31000"
NEW_CALLEE = b"m=audio 31002"
HOLD = sdp(direction="sendonly", version=2)


def origin(body):
    return body.split(b"o=")[1].split(b"\r\n")[0].split()


def test_both_parties_are_told_at_once_in_the_same_session():
    story = talking()
    before = origin(story.call.caller.told)
    story.moved()
    caller, callee = story.sent("INVITE", Party.CALLER), story.sent("INVITE", Party.CALLEE)
    assert NEW_CALLER in caller.request.body
    assert NEW_CALLEE in callee.request.body
    after = origin(caller.request.body)
    assert after[1] == before[1]
    assert int(after[2]) == int(before[2]) + 1
    for send, answer in ((caller, OFFER), (callee, ANSWER)):
        story.responds(send, 200, answer)
        assert story.the(SendAck)
    assert story.call.place == Serving("b")
    assert story.none(OfferMedia)


def test_a_party_that_answers_from_a_new_place_is_told_to_the_pool():
    story = talking()
    story.moved()
    send = story.sent("INVITE", Party.CALLEE)
    moved = sdp("198.51.100.9", 6100)
    story.responds(send, 200, moved)
    question = story.the(OfferMedia)
    assert (question.from_tag, question.sdp) == (story.call.callee.tag, moved)
    story.anchored("b", 31000)
    question = story.the(AnswerMedia)
    assert (question.to_tag, question.sdp) == (story.call.caller.tag, OFFER)
    assert story.call.callee.sdp == moved
    assert story.none(Send), "the caller knows that port already"
    story.anchored("b", 31002)


def test_moved_again_before_the_first_was_answered():
    story = talking()
    story.moved("b")
    first = story.sent("INVITE", Party.CALLEE)
    story.moved("c", port=32000)
    assert story.none(Send), "one INVITE at a time (RFC 3261 section 14.1)"
    story.responds(first, 200, ANSWER)
    assert story.the(SendAck)
    assert b"m=audio 32002" in story.sent("INVITE", Party.CALLEE).request.body
    assert story.none(OfferMedia)


@pytest.mark.parametrize(("party", "low", "high"), [(Party.CALLER, 0.0, 2.0), (Party.CALLEE, 2.1, 4.0)])
def test_glare_is_waited_out_as_the_rfc_says(party, low, high):
    pauses = set()
    for seed in range(8):
        story = talking(seed=str(seed))
        story.moved()
        story.responds(story.sent("INVITE", party), 491)
        assert story.none(Send)
        start = story.now
        story.waits()
        pauses.add(round(story.now - start, 2))
        assert NEW_CALLER[:7] in story.sent("INVITE", party).request.body
    assert all(low <= pause <= high for pause in pauses)
    assert len(pauses) > 3


def test_a_party_that_always_puts_it_off_is_given_up():
    story = talking(rules=replace_rules(glare_max=3))
    story.moved()
    send = story.sent("INVITE", Party.CALLER)
    for _ in range(3):
        story.responds(send, 491)
        story.waits()
        send = story.sent("INVITE", Party.CALLER)
    story.responds(send, 491)
    assert "ended" in story.told


def test_requests_that_overtook_one_another_are_sent_again():
    story = talking()
    story.moved()
    send = story.sent("INVITE", Party.CALLER)
    for _ in range(2):
        story.responds(send, 500)
        assert "ended" not in story.told
        story.waits()
        send = story.sent("INVITE", Party.CALLER)
    story.responds(send, 500)
    assert story.sent("BYE", Party.CALLEE)


@pytest.mark.parametrize("status", [408, 481, 488, 503, 603])
def test_a_refusal_ends_the_call_with_a_reason(status):
    story = talking()
    story.moved()
    story.responds(story.sent("INVITE", Party.CALLEE), status)
    bye = story.sent("BYE", Party.CALLER)
    assert f"cause={status}" in bye.request.headers.get("Reason")
    assert story.the(DropMedia)
    assert len([send for send in story.those(Send) if send.request.method == "BYE"]) == (1 if status == 481 else 2)


@pytest.mark.parametrize("unreachable", [True, False])
def test_a_party_that_is_gone_ends_the_call(unreachable):
    story = talking()
    story.moved()
    story.silent(story.sent("INVITE", Party.CALLER), unreachable=unreachable)
    assert story.sent("BYE", Party.CALLEE)


def test_an_invite_that_only_rings_is_cancelled_in_the_end():
    story = talking()
    story.moved()
    send = story.sent("INVITE", Party.CALLER)
    story.responds(story.sent("INVITE", Party.CALLEE), 200, ANSWER)
    story.responds(send, 180)
    story.waits(33)
    assert story.the(SendCancel).ref == send.ref
    story.waits(33)
    assert story.sent("BYE", Party.CALLEE)


def test_an_invite_that_only_rings_and_is_cancelled_ends_the_call():
    """Its 487 says that the party does not know where its media is now."""
    story = talking()
    story.moved()
    send = story.sent("INVITE", Party.CALLER)
    story.responds(story.sent("INVITE", Party.CALLEE), 200, ANSWER)
    story.responds(send, 180)
    story.waits(33)
    assert story.the(SendCancel).ref == send.ref
    story.responds(send, 487)
    assert "SIP;cause=408" in story.sent("BYE", Party.CALLEE).request.headers.get("Reason")
    assert story.sent("BYE", Party.CALLER)


@pytest.mark.parametrize("by", list(Party))
@pytest.mark.parametrize("step", ["placing", "forwarding", "answering"])
def test_moved_while_a_party_changes_the_session(by, step):
    """Its change goes on with the new server; who was told of the old one is told again after it."""
    story = talking()
    story.asks(by, "INVITE", HOLD)
    tx = story.tx
    mine, theirs = (31000, 31002) if by is Party.CALLER else (31002, 31000)
    if step == "placing":
        story.moved()
        assert story.last == [], "nobody is sent away, and both have an INVITE"
        story.anchored("b", theirs)
    else:
        story.anchored("a", 30008)
    change = story.sent("INVITE", by.other)
    if step == "forwarding":
        story.moved()
        assert story.last == []
    story.responds(change, 200, ANSWER)
    if step == "answering":
        story.moved()
        assert story.last == []
    story.anchored("b", mine)
    reply = story.the(Reply)
    assert (reply.tx, reply.status) == (tx, 200)
    assert f"m=audio {mine}".encode() in reply.body
    told = story.those(Send)
    if step == "placing":
        assert told == []
        assert f"m=audio {theirs}".encode() in change.request.body
    else:
        assert f"m=audio {theirs}".encode() in story.sent("INVITE", by.other).request.body
    story.acks(by, tx=tx)
    assert story.none(Send), "its own change has told it of the new server"


def test_the_pools_old_word_on_a_change_is_not_told_after_a_move():
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    old = story.question()
    story.moved()
    story.anchored("a", 30008, ask=old)
    assert NEW_CALLEE in story.sent("INVITE", Party.CALLEE).request.body


@pytest.mark.parametrize("status", [488, 491])
def test_a_change_is_refused_after_a_move(status):
    """Neither is left with the dead server's address."""
    story = talking()
    story.asks(Party.CALLER, "INVITE", HOLD)
    story.anchored("a", 30008)
    change = story.sent("INVITE", Party.CALLEE)
    story.moved()
    story.responds(change, status)
    assert story.the(Reply).status == status
    told = story.sent("INVITE", Party.CALLER), story.sent("INVITE", Party.CALLEE)
    assert NEW_CALLER in told[0].request.body
    assert NEW_CALLEE in told[1].request.body


@pytest.mark.parametrize("step", ["asked", "offered", "told", "answered"])
def test_moved_while_a_party_waits_for_the_others_offer(step):
    story = talking()
    story.asks(Party.CALLER, "INVITE")
    tx = story.tx
    change = story.sent("INVITE", Party.CALLEE)

    def moved_after(this):
        if step == this:
            story.moved()
            assert story.last == []

    moved_after("asked")
    story.responds(change, 200, ANSWER)
    moved_after("offered")
    story.anchored("a" if step in {"told", "answered"} else "b", 31000)
    assert story.the(Reply).status == 200
    moved_after("told")
    story.acks(Party.CALLER, OFFER, tx=tx)
    moved_after("answered")
    story.anchored("b", 31002)
    assert NEW_CALLEE in story.the(SendAck).request.body
    if step in {"told", "answered"}:
        assert NEW_CALLER in story.sent("INVITE", Party.CALLER).request.body
    else:
        assert story.none(Send)


def test_moved_while_a_party_waits_for_the_others_offer_and_it_comes_to_nothing():
    story = talking()
    story.asks(Party.CALLER, "INVITE")
    story.responds(story.sent("INVITE", Party.CALLEE), 200, ANSWER)
    story.moved()
    story.refused(Fault.NO_SERVER, "dead")
    assert story.the(Reply).status == 503
    assert NEW_CALLEE in story.the(SendAck).request.body
    assert NEW_CALLER in story.sent("INVITE", Party.CALLER).request.body


def test_moved_while_it_rings():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    story.moved(answered=False)
    assert story.last == [], "the ringing is not broken"
    story.responds(setup, 200, ANSWER)
    assert NEW_CALLEE in story.sent("INVITE", Party.CALLEE).request.body, "right after the ACK"
    story.anchored("b", 31000)
    assert NEW_CALLER in story.the(Reply).body
    story.acks(Party.CALLER, tx=1)
    assert story.none(Send)


def test_moved_after_early_media():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 183, ANSWER)
    story.anchored("a", 30002)
    story.moved(answered=True)
    story.responds(setup, 200, ANSWER)
    story.anchored("b", 31000)
    assert NEW_CALLER in story.the(Reply).body
    assert story.none(Send)
    story.acks(Party.CALLER, tx=1)
    # A caller may ignore the SDP of the 200 when it had one before (RFC 3261 section 13.2.1).
    assert NEW_CALLER in story.sent("INVITE", Party.CALLER).request.body


def test_moved_before_the_next_target_is_tried():
    story = Story()
    story.anchored()
    first = story.sent("INVITE")
    story.moved(answered=False)
    story.responds(first, 503)
    assert NEW_CALLEE in story.sent("INVITE").request.body


def test_moved_while_the_ack_is_awaited():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.anchored("a", 30002)
    story.moved()
    assert NEW_CALLEE in story.sent("INVITE", Party.CALLEE).request.body
    assert len(story.those(Send)) == 1
    story.acks(Party.CALLER, tx=1)
    assert NEW_CALLER in story.sent("INVITE", Party.CALLER).request.body


def test_the_pools_answer_overtakes_the_move_and_the_other_way_round():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.moved("b", answered=False)
    story.anchored("b", 31000)
    assert NEW_CALLER in story.the(Reply).body

    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200, ANSWER)
    question = story.question()
    story.moved("b", answered=True)
    story.anchored("a", 30002, ask=question)
    assert NEW_CALLER in story.the(Reply).body, "not what the dead server said"
    story.acks(Party.CALLER, tx=1)
    assert story.none(Send)


def test_the_first_offer_and_its_move_in_the_wrong_order():
    story = Story()
    question = story.question()
    story.moved("b", answered=False)
    story.anchored("a", 30000, ask=question)
    assert NEW_CALLEE in story.sent("INVITE").request.body
    assert story.call.place == Serving("b")


def test_a_stranded_call_is_kept_and_goes_on():
    story = talking()
    story.stranded()
    assert story.last == []
    assert isinstance(story.call.place, Stranded)
    story.waits(20)
    story.moved()
    assert len(story.those(Send)) == 2
    story.waits(15)
    assert isinstance(story.call.phase, Answered)


def test_a_stranded_call_ends_after_its_time():
    story = talking()
    story.stranded()
    story.waits(31)
    for party in Party:
        assert "cause=503" in story.sent("BYE", party).request.headers.get("Reason")


def test_a_stranded_call_that_rings_ends_with_503():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 180)
    story.stranded()
    story.waits(31)
    assert story.the(Reply).status == 503
    assert story.the(SendCancel)


def test_moved_after_the_end_is_nothing():
    story = talking()
    story.stops()
    story.moved()
    assert story.last == []


def test_a_call_read_back_goes_on_and_tells_who_may_not_know():
    story = talking()
    story.moved()
    call = adopted(read_back(write_down(story.call)), story.now)
    assert call is not None
    assert call.caller.pending
    story.call = call
    story.happens(Tick())
    assert NEW_CALLER in story.sent("INVITE", Party.CALLER).request.body
    assert NEW_CALLEE in story.sent("INVITE", Party.CALLEE).request.body
    story.asks(Party.CALLER, "BYE")
    assert story.sent("BYE", Party.CALLEE)


def test_a_call_that_only_rings_cannot_be_adopted():
    story = Story()
    story.anchored()
    assert adopted(story.call, story.now) is None


@pytest.mark.parametrize("by", list(Party))
def test_a_bye_that_crosses_our_re_invite_ends_the_call_at_once(by):
    """Neither phone says a word about the INVITE, though it should (RFC 3261 section 15.1.2)."""
    story = talking()
    story.moved()
    theirs = story.sent("INVITE", by.other)
    story.asks(by, "BYE")
    assert story.the(Reply).status == 200
    story.responds(story.sent("BYE", by.other), 200)
    assert story.over
    assert story.the(SendCancel).ref == theirs.ref, "or it would be under way for ever once the phone says 180"
    story.call = story.call.in_short()
    story.responds(theirs, 200, ANSWER)
    stray = story.the(EndStray)
    assert stray.met == story.call.leg(by.other).met, "one that it has taken after all is acknowledged where it is"
