"""Parties that are reached by IPv4 and by IPv6: each is told an address that it can send to (RFC 6157)."""

from __future__ import annotations

import pytest

from mediaha.model.address import Address
from mediaha.model.media import Anchored, Family, Moved
from mediaha.nets.call import Answered
from mediaha.nets.destination import plain
from mediaha.nets.events import MediaReady
from mediaha.nets.family import family_of, reached_by
from tests.nets.story import (
    ANSWER,
    OFFER,
    AnswerMedia,
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
    phones_at,
    sdp,
    talking,
)

V4, V6 = Address("198.51.100.1", 5060), Address("2001:db8::1", 5060)
BOTH = (plain(V4), plain(V6))


def sdp6(host="2001:db8::2", port=6000):
    return sdp(host, port).replace(b"IN IP4", b"IN IP6")


def anchored6(story, port=30000):
    return story.happens(MediaReady(story.question().ask, Anchored("a", sdp6("2001:db8::a", port), ())))


@pytest.mark.parametrize(
    ("connection", "family"),
    [
        (b"IN IP4 192.0.2.1", Family.IPV4),
        (b"IN IP6 2001:db8::1", Family.IPV6),
        (b"IN IP4 0.0.0.0", None),
        (b"IN IP6 ::", None),
        (b"IN IP6 0:0:0:0:0:0:0:0", None),
        (b"IN IP6 ::1", Family.IPV6),
        (b"IN IP6 ::ffff:0.0.0.1", Family.IPV6),
        (b"IN IP4 phone.example.test", None),
        (b"IN IP5 1", None),
        (b"", None),
    ],
)
def test_what_a_description_says_of_where_its_author_is(connection, family):
    body = b"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=" + connection + b"\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    assert family_of(body) is family
    assert family_of(body.replace(b"\r\n", b"\n")) is family


def test_a_callee_at_an_ipv6_address_is_offered_one_and_the_caller_gets_ipv4():
    story = Story(targets=(plain(V6),))
    assert story.the(OfferMedia).family is Family.IPV6
    anchored6(story)
    setup = story.sent("INVITE")
    assert b"c=IN IP6 2001:db8::a" in setup.request.body
    story.responds(setup, 200, sdp6(), contact="<sip:bob@[2001:db8::1]:5060>")
    assert story.the(AnswerMedia).family is Family.IPV4
    story.anchored("a", 30002)
    assert b"c=IN IP4" in story.the(Reply).body
    story.acks(Party.CALLER, tx=1)
    story.asks(Party.CALLEE, "INVITE", sdp6(port=6002))
    assert story.the(OfferMedia).family is Family.IPV4
    story.anchored("a", 30002)
    story.responds(story.sent("INVITE"), 200, OFFER)
    assert story.the(AnswerMedia).family is Family.IPV6


def test_the_family_of_a_party_on_hold_by_the_unspecified_address_is_remembered():
    story = talking()
    story.asks(Party.CALLER, "INVITE", sdp("0.0.0.0"))
    story.anchored("a", 30000)
    story.responds(story.sent("INVITE"), 200, ANSWER)
    assert story.the(AnswerMedia).family is Family.IPV4
    story.anchored("a", 30002)
    story.acks(Party.CALLER)
    assert family_of(story.call.caller.sdp) is None
    assert reached_by(story.call.caller) is Family.IPV4


def test_the_next_target_by_another_family_gets_an_address_of_its_own():
    story = Story(targets=(*BOTH, plain(Address("198.51.100.3", 5060))))
    assert story.the(OfferMedia).family is Family.IPV4
    story.anchored("a", 30000)
    story.responds(story.sent("INVITE"), 503)
    question = story.the(OfferMedia)
    assert (question.family, question.to_tag, question.sdp) == (Family.IPV6, None, OFFER)
    assert story.none(Send)
    anchored6(story)
    setup = story.sent("INVITE")
    assert setup.target.address == V6
    assert b"c=IN IP6" in setup.request.body
    story.silent(setup, unreachable=True)
    assert story.the(OfferMedia).family is Family.IPV4
    story.anchored("a", 30000)
    story.responds(story.sent("INVITE"), 503)
    reply = story.the(Reply)
    assert reply.status == 503, "and who refused first is not forgotten"


def test_who_hangs_up_while_the_next_targets_media_is_looked_for_gets_no_further_invite():
    story = Story(targets=BOTH)
    story.anchored("a", 30000)
    story.responds(story.sent("INVITE"), 503)
    story.cancels()
    assert story.the(Reply).status == 487
    anchored6(story)
    assert story.none(Send)
    assert story.over


def test_a_callee_that_answers_in_the_other_family_is_told_an_address_of_it():
    """Its phones rang by IPv4 and by IPv6 with one offer, or its name led to both."""
    story = Story()
    story.anchored("a", 30000)
    setup = story.sent("INVITE")
    story.responds(setup, 200, sdp6())
    story.anchored("a", 30002)
    assert story.the(Reply).status == 200
    question = story.the(OfferMedia)
    assert (question.family, question.sdp) == (Family.IPV6, OFFER)
    story.acks(Party.CALLER, tx=1)
    anchored6(story, 30004)
    again = story.sent("INVITE")
    assert b"c=IN IP6 2001:db8::a" in again.request.body
    story.anchored("a", 30002)  # the answer is confirmed
    story.responds(again, 200, sdp6())
    assert isinstance(story.call.phase, Answered)
    assert story.none(Send)
    assert not story.call.asks


def test_a_callee_that_insists_on_the_other_family_is_not_asked_for_ever():
    story = Story()
    story.anchored("a", 30000)
    story.responds(story.sent("INVITE"), 200, sdp6())
    story.anchored("a", 30002)
    story.acks(Party.CALLER, tx=1)
    anchored6(story, 30004)
    again = story.sent("INVITE")
    story.anchored("a", 30002)
    story.responds(again, 200, ANSWER)
    assert story.none(Send)
    assert not story.call.asks
    assert isinstance(story.call.phase, Answered)


def test_without_a_server_of_the_family_the_caller_is_told_that_it_cannot_be():
    story = Story(targets=(plain(V6),))
    story.refused(Fault.FAMILY, "every media server of the list lacks an IPv6 address")
    reply = story.the(Reply)
    assert reply.status == 488
    assert "every media server of the list lacks an IPv6 address" in dict(reply.headers)["Warning"]


def test_a_caller_without_an_offer_is_offered_media_of_the_family_that_he_came_by():
    story = Story(invite(b""), targets=(plain(V6),))
    setup = story.sent("INVITE")
    story.responds(setup, 200, sdp6(), contact="<sip:bob@[2001:db8::1]:5060>")
    question = story.the(OfferMedia)
    assert (question.sdp, question.family) == (sdp6(), Family.IPV4)
    story.anchored("a", 30000)
    story.acks(Party.CALLER, OFFER, tx=1)
    assert story.the(AnswerMedia).family is Family.IPV6


def ringing_by_both():
    """A user's phones, one by each family, have our INVITE: the story, and both INVITEs."""
    story = Story(targets=phones_at(("a", 1), ("B", 1)))
    story.anchored("a", 30000)
    ours, theirs = story.those(Send)
    return story, ours, theirs


def test_of_phones_that_ring_together_those_of_the_other_family_are_invited_without_an_offer():
    """baresip, for one, refuses an offer that it could send nothing to: it would never ring."""
    story, ours, theirs = ringing_by_both()
    assert b"c=IN IP4 " in ours.request.body
    assert not theirs.request.body
    assert "100rel" not in theirs.request.headers.get("Supported")
    story.responds(theirs, 183, sdp6(), tag="six")
    assert story.the(Reply).body == b"", "what comes before the answer is no answer to anything"
    story.responds(theirs, 200, sdp6(), tag="six")
    assert story.the(SendCancel).ref == ours.ref
    question = story.the(OfferMedia)
    assert (question.family, question.sdp, question.to_tag) == (Family.IPV6, OFFER, None)
    assert story.none(SendAck), "it has to be told where to send first"
    anchored6(story, 30004)
    assert b"c=IN IP6 2001:db8::a" in story.the(SendAck).request.body
    question = story.the(AnswerMedia)
    assert (question.family, question.sdp) == (Family.IPV4, sdp6())
    story.anchored("a", 30002)
    assert (story.the(Reply).status, b"c=IN IP4" in story.the(Reply).body) == (200, True)
    story.acks(Party.CALLER, tx=1)
    assert story.none(Send)
    assert reached_by(story.call.callee) is Family.IPV6
    story.moved()
    assert story.sent("INVITE", Party.CALLEE)


def test_the_phone_of_the_first_family_answers_as_ever():
    story, ours, theirs = ringing_by_both()
    story.responds(theirs, 180, tag="six")
    story.responds(ours, 200, ANSWER)
    assert story.the(SendCancel).ref == theirs.ref
    assert story.the(AnswerMedia).sdp == ANSWER
    story.responds(theirs, 200, sdp6(), tag="six")
    assert story.the(EndStray)


@pytest.mark.parametrize("made", [sdp6().replace(b"RTP/AVP 0", b"RTP/AVP 18"), b""], ids=["no codec", "no offer"])
def test_a_phone_of_the_other_family_that_does_not_fit_leaves_the_others_ringing(made):
    story, ours, theirs = ringing_by_both()
    story.responds(theirs, 200, made, tag="six")
    assert story.the(EndStray)
    assert story.none(SendCancel)
    story.responds(ours, 200, ANSWER)
    assert story.the(AnswerMedia).sdp == ANSWER


def test_the_media_moves_while_a_phone_of_the_other_family_waits_for_the_answer_to_its_offer():
    story, _, theirs = ringing_by_both()
    story.responds(theirs, 200, sdp6(), tag="six")
    moved = sdp6("2001:db8::b", 31002)
    story.happens(Moved("call-1", "a", "b", None, moved, ()))
    assert story.last == []
    anchored6(story, 30004)
    assert b"m=audio 31002" in story.the(SendAck).request.body
    story.anchored("b", 31000)
    assert story.the(Reply).status == 200
    story.acks(Party.CALLER, tx=1)
    assert story.none(Send)


def test_nobody_has_an_address_of_the_family_of_the_phone_that_has_answered():
    story, _, theirs = ringing_by_both()
    story.responds(theirs, 200, sdp6(), tag="six")
    story.refused(Fault.FAMILY, "every media server of the list lacks an IPv6 address")
    assert story.the(SendAck).request.body == b""
    assert story.the(Reply).status == 488
    assert story.sent("BYE", Party.CALLEE)
