"""Provisional responses that must arrive (RFC 3262), on each leg by itself, and changes while it rings (3311)."""

from __future__ import annotations

import pytest

from mediaha.nets.call import Answered, Ending, Ringing
from tests.nets.story import (
    ANSWER,
    OFFER,
    AnswerMedia,
    EndStray,
    OfferMedia,
    Party,
    Reply,
    Send,
    SendAck,
    SendCancel,
    Story,
    invite,
    sdp,
)

CAN = ("Supported", "100rel")
MUST = ("Require", "100rel")
UPDATES = ("Allow", "INVITE, UPDATE, PRACK")
HOLD = sdp(direction="sendonly", version=2)
HELD = sdp("198.51.100.1", 6000, "recvonly", 2)


def rel(number):
    return [("Require", "100rel"), ("RSeq", str(number)), UPDATES]


def calling(*headers):
    """The INVITE of a caller with these headers, and ours."""
    story = Story(invite(headers=headers))
    story.anchored("a", 30000)
    return story, story.sent("INVITE")


def rseq(reply):
    return int(dict(reply.headers)["RSeq"])


def pracks(story, reply, body=b"", *, cseq=1, status=200):
    """The caller's PRACK of this response."""
    story.asks(Party.CALLER, "PRACK", body, headers=[("RAck", f"{rseq(reply)} {cseq} INVITE")])
    answers = [one for one in story.those(Reply) if one.tx == story.tx]
    assert [one.status for one in answers] == ([status] if status else [])


def ringing_agreed():
    """Both parties have exchanged offer and answer by acknowledged 183s, and both take UPDATE."""
    story, setup = calling(CAN, UPDATES)
    story.responds(setup, 183, ANSWER, headers=rel(1))
    prack = story.sent("PRACK")
    story.responds(prack, 200)
    story.anchored("a", 30002)
    early = story.the(Reply) if story.those(Reply) else next(e for e in story.effects if isinstance(e, Reply))
    pracks(story, early)
    return story, setup


# The callee's leg


def test_what_the_callee_wants_acknowledged_is_acknowledged():
    story, setup = calling()
    assert "100rel" in setup.request.headers.get("Supported")
    story.responds(setup, 180, headers=rel(7))
    prack = story.sent("PRACK")
    assert prack.request.headers.get("RAck") == "7 1 INVITE"
    assert prack.request.cseq.number == 2
    assert prack.request.to_tag == "far"
    assert prack.request.uri == "sip:bob@198.51.100.1:5060"
    assert story.the(Reply).status == 180
    assert "RSeq" not in dict(story.the(Reply).headers), "the caller cannot do that"
    story.responds(prack, 200)
    story.responds(setup, 200, ANSWER)
    assert story.the(SendAck).request.cseq.number == 1
    story.anchored()
    story.acks(Party.CALLER, tx=1)
    story.stops()
    assert story.sent("BYE", Party.CALLEE).request.cseq.number == 3, "after the PRACK"


def test_a_repetition_and_one_too_early_are_not_heard():
    story, setup = calling()
    story.responds(setup, 180, headers=rel(7))
    story.responds(setup, 180, headers=rel(7))
    assert story.last == []
    story.responds(setup, 183, ANSWER, headers=rel(9))
    assert story.last == []
    story.responds(setup, 183, ANSWER, headers=rel(8))
    assert story.sent("PRACK").request.headers.get("RAck") == "8 1 INVITE"
    assert story.the(AnswerMedia)


def test_the_phones_of_a_fork_are_acknowledged_each_in_its_dialog():
    story, setup = calling()
    story.responds(setup, 180, headers=rel(7), tag="one")
    story.responds(setup, 183, ANSWER, headers=rel(100), tag="two")
    prack = story.sent("PRACK")
    assert (prack.request.to_tag, prack.request.cseq.number) == ("two", 2)
    story.anchored("a", 30002)
    story.responds(setup, 180, headers=rel(8), tag="one")
    prack = story.sent("PRACK")
    assert (prack.request.to_tag, prack.request.cseq.number) == ("one", 3)
    story.responds(setup, 200, ANSWER, tag="one")
    assert story.call.callee.dialog.remote_tag == "one"
    story.anchored("a", 30002)
    story.responds(setup, 200, ANSWER, tag="two")
    assert [type(effect).__name__ for effect in story.last] == ["EndStray"]
    assert isinstance(story.call.phase, Answered)


def test_who_was_asked_to_acknowledge_and_answers_too_late_is_hung_up_on_by_a_bye_that_counts_on():
    """With the number of the PRACK it would be refused, and the callee stay in a call that nobody knows of."""
    story, setup = calling()
    story.responds(setup, 183, ANSWER, headers=rel(1))
    story.responds(story.sent("PRACK"), 200)
    story.cancels()
    story.responds(setup, 200, ANSWER)
    assert story.the(EndStray).cseq == 3


def test_nobody_fills_the_memory_with_forks():
    story, setup = calling()
    for number in range(50):
        story.responds(setup, 180, headers=rel(1), tag=f"fork{number}")
    assert isinstance(story.call.phase, Ringing)
    assert len(story.call.phase.forks) == 8


def test_an_answer_that_was_acknowledged_need_not_be_repeated():
    story, setup = calling()
    story.responds(setup, 183, ANSWER, headers=rel(1))
    story.anchored("a", 30002)
    story.responds(setup, 183, sdp("198.51.100.9", 9), headers=[UPDATES])
    assert story.none(AnswerMedia), "the answer is given once"
    story.responds(setup, 200)
    assert story.the(AnswerMedia).sdp == ANSWER
    story.anchored("a", 30002)
    assert story.the(Reply).status == 200
    assert b"m=audio 30002" in story.the(Reply).body


def test_nobody_promises_to_acknowledge_without_an_offer():
    story = Story(invite(b""))
    assert "100rel" not in story.sent("INVITE").request.headers.get("Supported")


def test_a_prack_nobody_answers_is_the_invites_business():
    story, setup = calling()
    story.responds(setup, 180, headers=rel(1))
    story.silent(story.sent("PRACK"))
    assert isinstance(story.call.phase, Ringing)
    story.responds(setup, 200, ANSWER)
    assert isinstance(story.call.phase, Answered)


# The caller's leg


@pytest.mark.parametrize(("can", "status", "body", "reliably"), [
    ((), 183, ANSWER, False), ((CAN,), 180, b"", False), ((CAN,), 183, ANSWER, True), ((MUST,), 180, b"", True),
])  # fmt: skip
def test_the_caller_gets_reliably_what_it_wants_or_what_matters(can, status, body, reliably):
    story, setup = calling(*can)
    story.responds(setup, status, body)
    if body:
        story.anchored("a", 30002)
    headers = dict(story.the(Reply).headers)
    assert ("RSeq" in headers) == reliably
    assert ("Require" in headers) == reliably


def test_a_response_is_repeated_until_it_is_acknowledged():
    story, setup = calling(MUST)
    story.responds(setup, 180)
    first = story.the(Reply)
    again = story.waits(3.6)
    assert again == [first, first, first], "after 0.5, 1.5 and 3.5 s"
    pracks(story, first)
    assert story.waits(20) == []
    pracks(story, first, status=481)


def test_a_caller_who_never_acknowledges_has_no_call():
    story, setup = calling(MUST)
    story.responds(setup, 180)
    story.waits(32.1)
    assert [reply.status for reply in story.those(Reply)][-1] == 504
    assert story.the(SendCancel).ref == setup.ref


def test_the_next_one_waits_for_its_turn_and_only_the_newest_does():
    story, setup = calling(MUST)
    story.responds(setup, 180)
    first = story.the(Reply)
    story.responds(setup, 181)
    story.responds(setup, 182)
    assert story.none(Reply)
    pracks(story, first)
    second = next(reply for reply in story.those(Reply) if reply.tx == 1)
    assert (second.status, rseq(second)) == (182, rseq(first) + 1)
    assert [reply.status for reply in story.those(Reply)] == [200, 182], "the PRACK is answered first"


def test_the_200_waits_until_the_answer_is_acknowledged():
    story, setup = calling(CAN)
    story.responds(setup, 183, ANSWER)
    story.anchored("a", 30002)
    early = story.the(Reply)
    story.responds(setup, 200, ANSWER)
    story.anchored("a", 30002)
    assert story.none(Reply)
    story.waits(1)
    assert story.those(Reply) == [early]
    story.asks(Party.CALLER, "PRACK", headers=[("RAck", f"{rseq(early)} 1 INVITE")])
    assert [(reply.status, reply.tx) for reply in story.those(Reply)] == [(200, story.tx), (200, 1)]
    assert story.those(Reply)[1].body == early.body
    story.acks(Party.CALLER, tx=1)
    assert story.waits(20) == []


def test_a_180_without_an_answer_does_not_hold_the_200_up():
    story, setup = calling(MUST)
    story.responds(setup, 180)
    ringing = story.the(Reply)
    story.responds(setup, 200, ANSWER)
    story.anchored("a", 30002)
    assert story.the(Reply).status == 200
    story.acks(Party.CALLER, tx=1)
    assert story.waits(10) == [], "and is not repeated after it"
    pracks(story, ringing)


def test_the_media_moves_while_the_200_waits():
    story, setup = calling(CAN)
    story.responds(setup, 183, ANSWER)
    story.anchored("a", 30002)
    early = story.the(Reply)
    story.responds(setup, 200, ANSWER)
    story.anchored("a", 30002)
    story.moved("b")
    story.sent("INVITE", Party.CALLEE)
    story.asks(Party.CALLER, "PRACK", headers=[("RAck", f"{rseq(early)} 1 INVITE")])
    assert b"m=audio 31000" in next(reply for reply in story.those(Reply) if reply.tx == 1).body


def test_the_caller_gives_up_or_never_acknowledges_while_the_200_waits():
    for gives_up in (True, False):
        story, setup = calling(CAN)
        story.responds(setup, 183, ANSWER)
        story.anchored("a", 30002)
        story.responds(setup, 200, ANSWER)
        story.anchored("a", 30002)
        if gives_up:
            story.cancels()
        else:
            story.waits(33)
        assert [reply.status for reply in story.those(Reply) if reply.status >= 200] == [487 if gives_up else 504]
        assert story.sent("BYE", Party.CALLEE)
        assert isinstance(story.call.phase, Ending)


@pytest.mark.parametrize("rack", ["", "x", "1", "1 INVITE", "99999999999 1 INVITE", "5 1 INVITE", "1 1 BYE"])
def test_a_prack_about_nothing_is_refused(rack):
    story, setup = calling(MUST)
    story.responds(setup, 180)
    story.asks(Party.CALLER, "PRACK", headers=[("RAck", rack)])
    assert story.the(Reply).status == 481


def test_a_delayed_offer_that_must_be_reliable_rings_in_silence():
    story = Story(invite(b"", headers=[MUST]))
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    assert story.none(Reply), "a reliable 180 would have to make the offer"
    story.responds(setup, 200, ANSWER)
    story.anchored()
    assert story.the(Reply).status == 200


# Changes while it rings


@pytest.mark.parametrize("method", ["UPDATE", "PRACK"])
def test_the_callers_change_while_it_rings_reaches_the_callee(method):
    if method == "UPDATE":
        story, setup = ringing_agreed()
        story.asks(Party.CALLER, "UPDATE", HOLD)
    else:
        story, setup = calling(CAN, UPDATES)
        story.responds(setup, 183, ANSWER, headers=rel(1))
        story.anchored("a", 30002)
        pracks(story, story.the(Reply), HOLD, status=None)
    tx = story.tx
    question = story.the(OfferMedia)
    assert (question.sdp, question.to_tag) == (HOLD, story.call.callee.tag)
    story.anchored("a", 30000)
    update = story.sent("UPDATE")
    assert update.request.to_tag == "far"
    assert b"a=sendrecv" in update.request.body, "as the pool of these tests says"
    story.responds(update, 200, HELD)
    assert story.none(SendAck)
    assert story.the(AnswerMedia).sdp == HELD
    story.anchored("a", 30002)
    assert (story.the(Reply).status, story.the(Reply).tx) == (200, tx)
    story.responds(setup, 200)
    assert story.none(AnswerMedia), "the 200 is no answer to that"
    assert [(reply.status, reply.tx) for reply in story.those(Reply)] == [(200, 1)]
    story.acks(Party.CALLER, tx=1)
    assert (story.call.caller.sdp, story.call.callee.sdp) == (HOLD, HELD)
    assert story.none(Send)


def test_the_callees_change_while_it_rings_reaches_the_caller():
    story, setup = ringing_agreed()
    dialog = story.call.phase.forks[0].dialog
    story.asks(Party.CALLEE, "UPDATE", HELD, dialog=dialog)
    assert story.the(OfferMedia).from_tag == story.call.callee.tag
    story.anchored("a", 30002)
    update = story.sent("UPDATE", Party.CALLER)
    story.responds(update, 200, HOLD, contact="<sip:ann@203.0.113.5:5062>")
    story.anchored("a", 30000)
    assert story.the(Reply).status == 200
    story.responds(setup, 200)
    story.acks(Party.CALLER, tx=1)
    assert (story.call.caller.sdp, story.call.callee.sdp) == (HOLD, HELD)


def test_a_change_that_cannot_be_carried_yet_must_come_again():
    story, setup = calling(UPDATES)
    story.responds(setup, 183, ANSWER, headers=rel(1))
    story.anchored("a", 30002)
    for party, dialog in ((Party.CALLER, None), (Party.CALLEE, story.call.phase.forks[0].dialog)):
        story.asks(party, "UPDATE", HOLD, dialog=dialog)
        assert story.the(Reply).status == 500
        assert "Retry-After" in dict(story.the(Reply).headers)


def test_the_callee_answers_before_the_change():
    story, setup = ringing_agreed()
    story.asks(Party.CALLER, "UPDATE", HOLD)
    tx = story.tx
    story.anchored("a", 30000)
    update = story.sent("UPDATE")
    story.responds(setup, 200, ANSWER)
    assert [(reply.status, reply.tx) for reply in story.those(Reply)] == [(500, tx)]
    while story.call.asks:
        story.anchored("a", 30002)
    assert any(isinstance(effect, Reply) and effect.status == 200 and effect.tx == 1 for effect in story.effects)
    story.acks(Party.CALLER, tx=1)
    story.responds(update, 200, HELD)
    assert story.sent("INVITE", Party.CALLEE), "told again what holds"


def test_a_refused_change_leaves_it_ringing():
    story, setup = ringing_agreed()
    story.asks(Party.CALLER, "UPDATE", HOLD)
    story.anchored("a", 30000)
    story.responds(story.sent("UPDATE"), 488)
    assert story.the(Reply).status == 488
    assert story.the(OfferMedia).sdp == OFFER, "what the pool shall go by again"
    story.anchored("a", 30000)
    story.responds(setup, 200)
    story.anchored("a", 30002)
    assert story.the(Reply).status == 200


def test_early_media_goes_on_through_the_next_server():
    story, setup = ringing_agreed()
    story.moved("b")
    updates = story.those(Send)
    assert {send.request.method for send in updates} == {"UPDATE"}
    assert len(updates) == 2
    for send in updates:
        mine = send.request.call_id == story.call.caller.dialog.call_id
        story.responds(send, 200, OFFER if mine else ANSWER)
    story.responds(setup, 200)
    story.anchored("b", 31000)
    story.acks(Party.CALLER, tx=1)
    assert not [send for send in story.those(Send) if send.request.method == "INVITE"], "both know already"


def test_who_refuses_to_hear_of_the_move_while_it_rings_hears_of_it_afterwards():
    story, setup = ringing_agreed()
    story.moved("b")
    for send in story.those(Send):
        story.responds(send, 500)
    assert isinstance(story.call.phase, Ringing)
    story.responds(setup, 200, ANSWER)
    story.sent("INVITE", Party.CALLEE)
    story.anchored("b", 31000)
    assert b"m=audio 31000" in story.the(Reply).body


def test_another_phone_answers_than_the_one_that_has_changed_the_session():
    """The pool's last offer is that phone's; the answer of the other one is to what the caller offers."""
    story, setup = ringing_agreed()
    dialog = story.call.phase.forks[0].dialog
    story.asks(Party.CALLEE, "UPDATE", HELD, dialog=dialog)
    story.anchored("a", 30010)
    story.responds(story.sent("UPDATE", Party.CALLER), 200, HOLD)
    story.anchored("a", 30012)
    story.responds(setup, 200, ANSWER, tag="other")
    assert story.the(OfferMedia).from_tag == story.call.caller.tag
    story.anchored("a", 30014)
    answer = story.the(AnswerMedia)
    assert (answer.from_tag, answer.sdp) == (story.call.caller.tag, ANSWER)
    story.anchored("a", 30016)
    assert story.the(Reply).status == 200
