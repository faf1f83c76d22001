"""Setting calls up: whom the INVITE goes to, what the caller hears, and what every refusal becomes."""

from __future__ import annotations

import pytest

from mediaha.nets.call import Answered, Ending
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
    invite,
    media_sdp,
    replace_rules,
    sdp,
    talking,
)


def test_a_call_is_anchored_before_the_callee_hears_of_it():
    story = Story()
    question = story.the(OfferMedia)
    assert (question.sdp, question.to_tag) == (OFFER, None)
    assert story.none(Send)

    story.anchored("a", 30000)
    setup = story.sent("INVITE")
    assert setup.target.address == ("198.51.100.1", 5060)
    assert b"m=audio 30000" in setup.request.body
    assert setup.request.uri == "sip:desk@198.51.100.1:5060"

    story.responds(setup, 180)
    assert story.the(Reply).status == 180

    story.responds(setup, 200, ANSWER)
    assert story.the(SendAck).request.cseq.number == 1
    question = story.the(AnswerMedia)
    assert question.sdp == ANSWER
    assert question.from_tag == story.call.caller.tag

    story.anchored("a", 30002)
    reply = story.the(Reply)
    assert (reply.status, reply.tx) == (200, 1)
    assert b"m=audio 30002" in reply.body
    story.acks(Party.CALLER, tx=1)
    assert story.call.caller.sdp == OFFER
    assert story.call.callee.sdp == ANSWER


def test_the_callee_learns_nothing_of_the_callers_side_but_who_it_is():
    story = Story(invite(headers=[
        ("Record-Route", "<sip:10.9.8.7;lr>"), ("User-Agent", "Secret/1"), ("X-Internal", "10.9.8.7"),
        ("Subject", "lunch"), ("P-Asserted-Identity", "<sip:ann@pbx.test>"), ("Diversion", "<sip:old@pbx.test>"),
    ]))  # fmt: skip
    story.anchored()
    request = story.sent("INVITE").request
    text = request.to_bytes().decode()
    assert "203.0.113.5" not in text
    assert "10.9.8.7" not in text
    assert "Secret" not in text
    assert "caller-call" not in text
    assert "tag=ann" not in text
    assert request.from_.address() == '"Ann" <sip:ann@pbx.test>'
    assert request.headers.get("Subject") == "lunch"
    assert request.headers.get("P-Asserted-Identity") == "<sip:ann@pbx.test>"
    assert request.headers.get("Diversion") == "<sip:old@pbx.test>"
    assert request.headers.get("Contact") == "<sip:nets@192.0.2.1:5060>"
    assert request.max_forwards == 69


def test_a_caller_named_by_its_address_is_named_by_ours():
    request = invite()
    headers = request.headers.with_replaced("From", '"Ann" <sip:ann@203.0.113.5:5062;x=y>;tag=ann')
    story = Story(request.with_headers(headers))
    story.anchored()
    assert story.sent("INVITE").request.from_.address() == '"Ann" <sip:ann@192.0.2.1>'


def test_early_media_is_anchored_and_the_final_answer_too():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 183, ANSWER)
    assert story.none(Reply), "nothing for the caller before the media server has the answer"
    story.anchored("a", 30002)
    early = story.the(Reply)
    assert early.status == 183
    assert b"m=audio 30002" in early.body
    story.responds(setup, 180)
    assert story.the(Reply).status == 180
    story.responds(setup, 200, ANSWER)
    story.anchored("a", 30002)
    assert story.the(Reply).body == early.body, "the same session description, the same version"
    story.acks(Party.CALLER, tx=1)
    assert story.none(Send)


def test_the_answer_comes_while_the_pool_still_has_the_early_one():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 183, ANSWER)
    early = story.question()
    story.responds(setup, 200, sdp("198.51.100.1", 6002))
    assert story.none(AnswerMedia), "one question at a time"
    story.anchored("a", 30002, ask=early)
    assert story.none(Reply), "the early answer is of no use any more"
    assert story.the(AnswerMedia).sdp == sdp("198.51.100.1", 6002)
    story.anchored("a", 30002)
    assert story.the(Reply).status == 200


@pytest.mark.parametrize("status", [404, 410, 480, 484, 486, 600, 603, 604])
def test_what_the_callee_says_goes_to_the_caller(status):
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), status)
    assert story.the(Reply).status == status
    assert story.the(DropMedia)
    assert story.over


@pytest.mark.parametrize(("said", "heard"), [(401, 403), (407, 403), (487, 480)])
def test_what_the_caller_could_not_act_on_is_translated(said, heard):
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), said)
    assert story.the(Reply).status == heard


def test_a_redirect_goes_to_the_caller_with_its_contacts():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 302, contact="<sip:bob@mobile.test>")
    reply = story.the(Reply)
    assert reply.status == 302
    assert ("Contact", "<sip:bob@mobile.test>") in reply.headers


@pytest.mark.parametrize("how", ["503", "silence", "unreachable", "timeout"])
def test_a_target_of_no_use_is_passed_over(how):
    story = Story()
    story.anchored()
    first = story.sent("INVITE")
    if how == "503":
        story.responds(first, 503)
    elif how == "silence":
        story.waits(story.rules.limits.target_s_max)
        assert story.the(SendCancel).ref == first.ref
    else:
        story.silent(first, unreachable=how == "unreachable")
    second = story.sent("INVITE")
    assert second.target.address == ("198.51.100.2", 5060)
    assert second.request.body.split(b"m=")[1] == first.request.body.split(b"m=")[1]
    assert second.request.call_id != first.request.call_id


def test_a_target_that_answers_after_it_was_passed_over_is_hung_up():
    story = Story()
    story.anchored()
    first = story.sent("INVITE")
    story.waits(story.rules.limits.target_s_max)
    story.sent("INVITE")
    story.responds(first, 200, ANSWER)
    assert story.the(EndStray).ref == first.ref
    assert story.none(Reply)


def test_a_target_that_has_said_100_is_waited_for():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 100)
    story.waits(story.rules.limits.target_s_max + 1)
    assert story.none(Send)


@pytest.mark.parametrize(("how", "status"), [("503", 503), ("timeout", 408), ("unreachable", 503)])
def test_when_no_target_is_left_the_caller_is_told(how, status):
    story = Story()
    story.anchored()
    for _ in range(2):
        target = story.sent("INVITE")
        if how == "503":
            story.responds(target, 503)
        else:
            story.silent(target, unreachable=how == "unreachable")
    reply = story.the(Reply)
    assert reply.status == status
    assert "Retry-After" not in dict(reply.headers), "that would keep other calls away"
    assert story.over


def test_nobody_answers_the_phone():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    story.waits(story.rules.limits.ring_s_max)
    assert story.the(Reply).status == 480
    assert story.the(SendCancel).ref == setup.ref
    assert not story.over
    story.responds(setup, 487)
    assert story.over


def test_the_caller_cancels_while_it_rings():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    story.cancels()
    assert story.the(Reply).status == 487
    assert story.the(SendCancel)
    story.responds(setup, 487)
    assert story.over


def test_the_callee_answers_while_the_caller_cancels():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    story.cancels()
    story.responds(setup, 200, ANSWER)
    assert story.the(EndStray), "acknowledged, then ended"
    assert story.over


def test_the_caller_cancels_before_there_is_media():
    story = Story()
    question = story.question()
    story.cancels()
    assert story.the(Reply).status == 487
    assert story.the(DropMedia)
    story.anchored(ask=question)
    assert story.last == []
    assert story.over


def test_the_caller_cancels_while_the_answer_is_with_the_pool():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 200, ANSWER)
    story.cancels()
    assert story.the(Reply).status == 487
    story.responds(story.sent("BYE", Party.CALLEE), 200)
    assert story.over


def test_the_callers_bye_before_the_answer_takes_the_call_back():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    story.asks(Party.CALLER, "BYE")
    assert [(reply.tx, reply.status) for reply in story.those(Reply)] == [(2, 200), (1, 487)]
    assert story.the(SendCancel)


@pytest.mark.parametrize(("fault", "status"), [(Fault.CALLER, 488), (Fault.NO_SERVER, 503), (Fault.BUSY, 503)])
def test_no_media_says_whose_fault_it_is(fault, status):
    story = Story()
    story.refused(fault, "because")
    reply = story.the(Reply)
    assert reply.status == status
    names = dict(reply.headers)
    assert "Retry-After" in names if status == 503 else "because" in names["Warning"]
    assert story.over


def test_an_answer_that_no_media_server_takes_ends_the_call():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.refused()
    assert story.the(Reply).status == 503
    assert story.sent("BYE", Party.CALLEE)


def test_an_invite_without_an_offer_gets_the_callees():
    story = Story(invite(b""))
    setup = story.sent("INVITE")
    assert setup.request.body == b""
    story.responds(setup, 180)
    story.responds(setup, 200, ANSWER)
    assert story.none(SendAck)
    question = story.the(OfferMedia)
    assert question.from_tag == story.call.callee.tag
    story.anchored("a", 30000)
    offer = story.the(Reply)
    assert offer.status == 200
    assert b"m=audio 30000" in offer.body
    story.acks(Party.CALLER, OFFER, tx=1)
    question = story.the(AnswerMedia)
    assert (question.from_tag, question.to_tag) == (story.call.callee.tag, story.call.caller.tag)
    story.anchored("a", 30002)
    ack = story.the(SendAck)
    assert b"m=audio 30002" in ack.request.body
    assert story.call.caller.sdp == OFFER
    assert story.call.callee.sdp == ANSWER
    story.moved("b")
    assert b"m=audio 31000" in story.sent("INVITE", Party.CALLEE).request.body, "the callee is who offered"
    assert b"m=audio 31002" in story.sent("INVITE", Party.CALLER).request.body


def test_a_caller_that_never_answers_our_offer_loses_the_call():
    story = Story(invite(b""))
    setup = story.sent("INVITE")
    story.responds(setup, 200, ANSWER)
    story.anchored()
    story.acks(Party.CALLER, b"", tx=1)
    assert story.the(SendAck)
    assert len(story.those(Send)) == 2
    assert isinstance(story.call.phase, Ending)


def test_a_fork_that_answers_second_is_hung_up():
    story = Story()
    story.anchored()
    setup = story.sent("INVITE")
    story.responds(setup, 200, ANSWER, tag="one")
    story.responds(setup, 200, ANSWER, tag="two")
    assert story.the(EndStray)
    assert isinstance(story.call.phase, Answered)
    assert story.call.callee.dialog.remote_tag == "one"


def test_a_200_without_contact_or_sdp_is_refused():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200)
    assert story.the(Reply).status == 502
    assert story.sent("BYE", Party.CALLEE)


def test_a_caller_who_never_acknowledges_is_hung_up():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.anchored()
    story.waits(33)
    assert story.sent("BYE", Party.CALLER)
    assert story.sent("BYE", Party.CALLEE)


def test_a_session_without_changes_keeps_its_version():
    story = talking()
    assert story.call.caller.version == story.call.callee.version == 1
    assert story.call.caller.told.startswith(b"v=0\r\no=mediaha ")
    assert media_sdp("a", 30002).split(b"s=-")[1] in story.call.caller.told


def test_the_limit_of_ringing_is_the_sites():
    story = Story(rules=replace_rules(ring_s_max=5.0))
    story.anchored()
    story.responds(story.sent("INVITE"), 180)
    story.waits(5.1)
    assert story.the(Reply).status == 480


IN_PARTS = ("Content-Type", "multipart/mixed;boundary=cut")


def in_parts(sdp):
    """An SDP behind where somebody is (RFC 6442)."""
    place = b"Content-Type: application/pidf+xml\r\n\r\n<x/>"
    return b"--cut\r\n%s\r\n--cut\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--cut--" % (place, sdp)


def test_offer_and_answer_among_other_parts_of_a_body():
    """What is for others stays on its leg."""
    places = (("Geolocation", "<cid:here@pbx.test>"), ("Geolocation", "<https://places.test/ann>"))
    story = Story(invite(in_parts(OFFER), headers=(IN_PARTS, *places)))
    assert story.the(OfferMedia).sdp == OFFER
    story.anchored()
    setup = story.sent("INVITE")
    assert list(setup.request.headers.all("Geolocation")) == ["<https://places.test/ann>"]
    assert setup.request.content_type == "application/sdp"
    assert setup.request.body.startswith(b"v=0")
    story.responds(setup, 200, in_parts(ANSWER), headers=(IN_PARTS,))
    assert story.the(AnswerMedia).sdp == ANSWER
