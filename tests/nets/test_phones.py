"""A user's phones ring together, or one after the other by their q; the first to answer has the call (16.6, 16.7)."""

from __future__ import annotations

from mediaha.model.address import Address
from mediaha.nets.call import Answered, Ending, Ringing
from mediaha.nets.destination import phones_of
from mediaha.sip.registration import Contact
from mediaha.sip.target import UDP, Target
from tests.nets.story import (
    ANSWER,
    AnswerMedia,
    EndStray,
    OfferMedia,
    Party,
    Reply,
    Send,
    SendAck,
    SendCancel,
    Story,
    phones_at,
    replace_rules,
    sdp,
)


def ringing(*places, rings=True, **options):
    """A call that has been placed with the user's phones of the highest q, which ring."""
    story = Story(targets=phones_at(*places), **options)
    story.anchored("a", 30000)
    setups = story.those(Send)
    if rings:
        for number, setup in enumerate(setups):
            story.responds(setup, 180, tag=f"phone {number}".replace(" ", ""))
    return story, setups


def test_all_phones_are_offered_the_same_media_where_they_registered_from_in_their_own_names():
    story, (desk, soft) = ringing(("d", 1), ("s", 1), rings=False)
    assert [one.request.uri for one in (desk, soft)] == ["sip:d@10.1.1.1:5060", "sip:s@10.1.1.1:5060"]
    assert [str(one.target) for one in (desk, soft)] == ["198.51.100.100:40000/udp", "198.51.100.115:40000/udp"]
    assert desk.request.body == soft.request.body
    assert (desk.request.call_id, desk.request.from_tag) == (soft.request.call_id, soft.request.from_tag)
    assert len([effect for effect in story.effects if isinstance(effect, OfferMedia)]) == 1


def test_the_first_to_answer_has_the_call_and_the_others_are_told_so():
    story, (desk, soft) = ringing(("d", 1), ("s", 1))
    story.responds(soft, 200, ANSWER, tag="phone1", contact="<sip:s@10.1.1.1:5060>")
    cancel = story.the(SendCancel)
    assert cancel.ref == desk.ref
    assert 'text="Call completed elsewhere"' in dict(cancel.headers)["Reason"]
    assert story.the(SendAck).target == soft.target, "the phone's own idea of its address is its NAT's"
    story.anchored("a", 30002)
    assert story.the(Reply).status == 200
    story.acks(Party.CALLER, tx=1)
    story.responds(desk, 487, tag="phone0")
    assert isinstance(story.call.phase, Answered)
    story.asks(Party.CALLER, "BYE")
    assert story.sent("BYE").target == soft.target


def test_two_that_answer_at_once_one_of_them_is_hung_up_where_it_is():
    story, (desk, soft) = ringing(("d", 1), ("s", 1))
    story.responds(desk, 200, ANSWER, tag="phone0")
    story.responds(soft, 200, ANSWER, tag="phone1")
    stray = story.the(EndStray)
    assert (stray.ref, stray.met, stray.by_flow) == (soft.ref, soft.target, True)
    assert isinstance(story.call.phase, Answered)
    assert story.call.callee.dialog.remote_tag == "phone0"


def test_a_busy_phone_leaves_the_others_ringing():
    story, (desk, soft) = ringing(("d", 1), ("s", 1))
    story.responds(desk, 486, tag="phone0")
    assert story.none(Reply)
    assert [fork.dialog.remote_tag for fork in story.call.phase.forks] == ["phone1"]
    story.responds(soft, 200, ANSWER, tag="phone1")
    assert story.the(AnswerMedia).sdp == ANSWER


def test_when_none_answers_the_caller_hears_what_says_most():
    for answers, heard in (
        ((480, 486), 486),
        ((486, 404), 486),
        ((404, None), 404),
        ((482, 486), 486),
        ((503, 503), 480),
    ):
        story, setups = ringing(("d", 1), ("s", 1), rings=False)
        for setup, status in zip(setups, answers, strict=True):
            if status is None:
                story.silent(setup, unreachable=True)
            else:
                story.responds(setup, status)
        assert story.the(Reply).status == heard, answers
        assert isinstance(story.call.phase, Ending) or story.over


def test_a_phone_that_is_gone_is_passed_over_and_when_all_are_the_user_is_away():
    story, (desk, soft) = ringing(("d", 1), ("s", 1), rings=False)
    story.silent(desk, unreachable=True)
    assert story.none(Reply)
    story.silent(soft)
    assert story.the(Reply).status == 480
    assert [note.facts["why"] for note in story.notes if note.what == "passed over"] == ["unreachable", "no response"]


def test_declined_for_good_is_declined_for_all():
    story, (desk, soft) = ringing(("d", 1), ("s", 1))
    story.responds(desk, 603, tag="phone0")
    assert story.the(Reply).status == 603
    assert story.the(SendCancel).ref == soft.ref


def test_phones_of_a_lower_q_ring_when_those_before_them_have_not_answered():
    story, (desk,) = ringing(("d", 1), ("s", 0.5), ("h", 0.5))
    story.waits(19)
    assert story.none(Send)
    story.waits(1)
    assert story.the(SendCancel).ref == desk.ref
    soft, home = story.those(Send)
    assert soft.request.call_id != desk.request.call_id
    story.responds(desk, 487, tag="phone0")
    story.responds(soft, 200, ANSWER, tag="phone1")
    assert story.the(SendCancel).ref == home.ref
    assert isinstance(story.call.phase, Answered)


def test_a_phone_that_refuses_is_followed_by_that_of_a_lower_q_at_once():
    story, (desk,) = ringing(("d", 1), ("s", 0.5))
    story.responds(desk, 486, tag="phone0")
    (soft,) = story.those(Send)
    story.silent(soft, unreachable=True)
    assert story.the(Reply).status == 486


def test_silent_phones_are_left_for_those_of_a_lower_q():
    story, (desk, soft) = ringing(("d", 1), ("s", 1), ("h", 0.5), rings=False)
    story.waits(4)
    assert {cancel.ref for cancel in story.those(SendCancel)} == {desk.ref, soft.ref}
    assert story.sent("INVITE").request.uri.startswith("sip:h@")


def test_the_last_phones_may_ring_as_long_as_anybody():
    story, _ = ringing(("d", 1), rules=replace_rules(ring_s_max=60.0))
    story.waits(59)
    assert isinstance(story.call.phase, Ringing)
    story.waits(1)
    assert story.the(Reply).status == 480


def test_a_caller_who_gives_up_stops_all_phones():
    story, setups = ringing(("d", 1), ("s", 1))
    story.cancels()
    assert {cancel.ref for cancel in story.those(SendCancel)} == {setup.ref for setup in setups}
    assert story.the(Reply).status == 487


def test_early_media_of_one_phone_and_the_answer_of_another():
    story, (desk, soft) = ringing(("d", 1), ("s", 1), rings=False)
    story.responds(desk, 183, sdp("198.51.100.100", 7000), tag="phone0")
    story.anchored("a", 30002)
    assert story.the(Reply).status == 183
    story.responds(soft, 200, ANSWER, tag="phone1")
    assert story.the(AnswerMedia).sdp == ANSWER


def test_a_phone_behind_a_proxy_is_called_by_the_way_that_it_has_told():
    flow = Target(UDP, Address("198.51.100.9", 5060), "", "udp")
    contact = Contact("sip:anna@10.1.1.1", flow, path=("<sip:edge.test;lr>",))
    story = Story(targets=phones_of([contact], lambda contact: contact.flow))
    story.anchored("a", 30000)
    setup = story.sent("INVITE")
    assert setup.request.headers.all("Route") == ["<sip:edge.test;lr>"]
    assert (setup.request.uri, setup.target) == ("sip:anna@10.1.1.1", flow)


def test_a_phone_that_was_told_of_moved_media_refuses_and_the_other_rings_on():
    """Its answer to the UPDATE comes when nothing is known of it any more."""
    story, (desk, soft) = ringing(("d", 1), ("s", 1), rings=False)
    reliably = [("Require", "100rel"), ("RSeq", "1"), ("Allow", "INVITE, UPDATE, PRACK")]
    story.responds(desk, 183, ANSWER, tag="phone0", headers=reliably)
    story.moved("b", answered=False)
    update = story.sent("UPDATE")
    story.responds(desk, 486, tag="phone0")
    story.responds(update, 200, tag="phone0")
    story.responds(soft, 180, tag="phone1")
    assert isinstance(story.call.phase, Ringing)
