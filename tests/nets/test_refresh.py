"""Session timers: parties that vanish without a word, refreshes both ways, and intervals nobody agrees on."""

from __future__ import annotations

import pytest

from mediaha.nets.admission import screen, screen_invite
from mediaha.nets.call import Answered, wake_at
from mediaha.nets.expiry import Asked, as_server, asked_untrusted
from mediaha.nets.rules import Limits
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
    invite,
    sdp,
    talking,
)

TIMER = ("Supported", "timer")
UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")
HALF = 900.0


def of(message, name):
    return dict(message.headers)[name]


def call_with(*, caller=(), callee=()):
    """A call in which the parties' INVITE and 200 have these headers."""
    story = Story(invite(headers=[*caller]))
    story.anchored("a", 30000)
    story.responds(story.sent("INVITE"), 200, ANSWER, headers=[*callee])
    story.anchored("a", 30002)
    story.accepted = story.the(Reply)
    story.acks(Party.CALLER, tx=1)
    return story


def test_a_caller_that_knows_timers_refreshes_itself():
    story = call_with(caller=[TIMER, ("Session-Expires", "600")])
    said = dict(story.accepted.headers)
    assert said["Session-Expires"] == "600;refresher=uac"
    assert said["Require"] == "timer"
    assert story.call.caller.expiry.until == story.now + 600 - 32


def test_a_caller_that_knows_no_timers_is_told_nothing_of_them():
    story = call_with()
    assert "Session-Expires" not in dict(story.accepted.headers)
    assert "Require" not in dict(story.accepted.headers)


def test_the_callee_is_asked_for_a_timer_of_its_own():
    story = Story(invite(headers=[TIMER, ("Session-Expires", "600;refresher=uac")]))
    story.anchored()
    request = story.sent("INVITE").request
    assert of(request, "Session-Expires") == "1800"
    assert of(request, "Min-SE") == "90"
    assert "timer" in of(request, "Supported")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (Asked(600, "uas", 0, supported=True), "600;refresher=uas"),
        (Asked(600, "", 0, supported=True), "600;refresher=uac"),
        (Asked(0, "", 0, supported=True), "1800;refresher=uac"),
        (Asked(86400, "uac", 0, supported=True), "1800;refresher=uac"),
        (Asked(86400, "uac", 3600, supported=True), "3600;refresher=uac"),
        (Asked(600, "", 0, supported=False), "600;refresher=uas"),
        (Asked(30, "", 0, supported=False), None),
        (Asked(), None),
    ],
)
def test_who_refreshes_and_how_often(asked, answer):
    expiry, fields = as_server(asked, wanted=1800, minimum=90, now=0.0)
    assert dict(fields).get("Session-Expires") == answer
    assert ("Require", "timer") in fields or answer is None or "uas" in answer
    assert expiry.ours == (answer is None or "uas" in answer)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1" * 30, "1800 seconds", ";refresher=uac", "\uff19"])
def test_an_interval_that_cannot_be_read_was_not_given(text):
    assert asked_untrusted(invite(headers=[("Session-Expires", text), TIMER])).interval in {0, 2**31 - 1}


def test_an_interval_that_is_too_small_is_refused():
    request = invite(headers=[TIMER, ("Session-Expires", "60")])
    refusal = screen_invite(request, Limits())
    assert refusal is not None
    assert (refusal.status, dict(refusal.headers)["Min-SE"]) == (422, "90")
    story = talking()
    story.asks(Party.CALLEE, "UPDATE", headers=[TIMER, ("Session-Expires", "60")])
    assert story.the(Reply).status == 422


def test_timers_may_be_required_of_us_and_nothing_unknown():
    assert screen(invite(headers=[("Require", "timer")])) is None
    refusal = screen(invite(headers=[("Require", "timer, magic")]))
    assert refusal is not None
    assert refusal.headers == (("Unsupported", "magic"),)


def test_a_party_that_stops_refreshing_is_gone():
    story = call_with(caller=[TIMER, ("Session-Expires", "90")], callee=[("Session-Expires", "1800;refresher=uas")])
    story.waits(59)
    assert story.none(Send)
    story.waits(2)
    assert "Session expired" in of(story.sent("BYE", Party.CALLER).request, "Reason")
    assert story.sent("BYE", Party.CALLEE)


def test_a_partys_refresh_keeps_the_call_and_does_not_disturb_the_other_one():
    story = call_with(caller=[TIMER, ("Session-Expires", "90")], callee=[("Session-Expires", "1800;refresher=uas")])
    for method, body in (("UPDATE", b""), ("INVITE", OFFER), ("UPDATE", OFFER)):
        story.waits(45)
        story.asks(Party.CALLER, method, body, headers=[TIMER, ("Session-Expires", "90;refresher=uac")])
        reply = story.the(Reply)
        assert reply.status == 200
        assert dict(reply.headers)["Session-Expires"] == "90;refresher=uac"
        assert reply.body == (story.call.caller.told if body else b"")
        assert story.none(OfferMedia)
        assert story.none(Send)
        if method == "INVITE":
            story.acks(Party.CALLER)
    story.waits(45)
    assert isinstance(story.call.phase, Answered)


def test_the_same_offer_from_another_place_reaches_the_media_server():
    story = call_with(caller=[TIMER])
    story.asks(Party.CALLER, "INVITE", OFFER, headers=[TIMER], contact="<sip:ann@203.0.113.99:5062>")
    assert story.the(OfferMedia)


def test_we_refresh_by_update_where_the_party_takes_it():
    story = call_with(callee=[UPDATES, ("Session-Expires", "1800;refresher=uac")])
    story.waits(HALF)
    update = next(send for send in story.those(Send) if send.request.method == "UPDATE")
    assert update.request.call_id == story.call.callee.dialog.call_id
    assert update.request.body == b""
    assert of(update.request, "Session-Expires") == "1800;refresher=uac"
    story.responds(update, 200, headers=[("Session-Expires", "1200;refresher=uac")])
    assert story.call.callee.expiry.refresh_at == story.now + 600


def test_we_refresh_by_invite_where_the_party_takes_no_update():
    story = call_with(callee=[("Allow", "INVITE, ACK, BYE"), ("Session-Expires", "1800;refresher=uac")])
    told = story.call.callee.told
    story.waits(HALF)
    again = next(send for send in story.those(Send) if send.request.method == "INVITE")
    assert again.request.body == told, "the same version of the same session"
    story.responds(again, 200, ANSWER, headers=[("Session-Expires", "1800;refresher=uac")])
    assert story.the(SendAck)
    assert story.none(OfferMedia)
    assert story.call.callee.expiry.refresh_at == story.now + HALF


def test_an_update_that_is_not_taken_after_all_becomes_an_invite():
    story = call_with(callee=[UPDATES, ("Session-Expires", "1800;refresher=uac")])
    story.waits(HALF)
    story.responds(next(send for send in story.those(Send) if send.request.method == "UPDATE"), 501)
    story.waits(0)
    assert story.sent("INVITE", Party.CALLEE)


def test_a_party_without_timers_is_asked_whether_it_is_still_there():
    story = call_with()
    for status in (200, 405, 501, 403):
        story.waits(HALF)
        probes = story.those(Send)
        assert {probe.request.method for probe in probes} == {"OPTIONS"}
        assert len(probes) == 2
        for probe in probes:
            story.responds(probe, status)
    assert isinstance(story.call.phase, Answered)


@pytest.mark.parametrize("said", [481, 408, None])
def test_a_party_that_knows_nothing_of_the_call_any_more_ends_it(said):
    story = call_with(caller=[TIMER])
    story.waits(HALF)
    probe = story.sent("OPTIONS", Party.CALLEE)
    if said is None:
        story.silent(probe)
    else:
        story.responds(probe, said)
    assert story.sent("BYE", Party.CALLER)
    assert len(story.those(Send)) == (1 if said == 481 else 2)


@pytest.mark.parametrize("status", [491, 500, 503, 488])
def test_a_refresh_that_is_put_off_is_tried_again_until_the_session_is_over(status):
    story = call_with(callee=[UPDATES, ("Session-Expires", "100;refresher=uac")], caller=[TIMER])
    story.waits(50)
    story.responds(story.sent("UPDATE", Party.CALLEE), status)
    assert isinstance(story.call.phase, Answered)
    for _ in range(3):
        story.waits(5)
        story.responds(story.sent("UPDATE", Party.CALLEE), status)
    story.waits(5)
    assert "expired" in story.notes[-1].facts["why"], "the last one was not answered in time"


def test_a_party_that_wants_a_longer_interval_gets_it():
    story = Story()
    story.anchored()
    first = story.sent("INVITE")
    story.responds(first, 422, headers=[("Min-SE", "4000")])
    second = story.sent("INVITE")
    assert second.target == first.target
    assert second.request.call_id == first.request.call_id
    assert second.request.from_tag == first.request.from_tag
    assert second.request.cseq.number == 2
    assert second.request.body == first.request.body
    assert int(of(second.request, "Session-Expires")) >= 4000
    assert int(of(second.request, "Min-SE")) >= 4000
    story.responds(second, 200, ANSWER, headers=[("Session-Expires", "4000;refresher=uas")])
    assert story.the(SendAck).request.cseq.number == 2
    story.anchored()
    story.acks(Party.CALLER, tx=1)
    assert "connected" in story.told


def test_a_422_that_asks_for_nothing_more_is_a_refusal():
    story = Story()
    story.anchored()
    story.responds(story.sent("INVITE"), 422, headers=[("Min-SE", "90")])
    assert story.the(Reply).status == 500


@pytest.mark.parametrize("why", ["moved", "changed", "refreshed"])
def test_a_422_inside_the_call_brings_the_same_request_again(why):
    story = call_with(callee=[("Session-Expires", "1800;refresher=uac")])
    if why == "moved":
        story.moved()
        before = story.sent("INVITE", Party.CALLEE)
    elif why == "changed":
        story.asks(Party.CALLER, "INVITE", sdp(direction="sendonly", version=2))
        story.anchored()
        before = story.sent("INVITE", Party.CALLEE)
    else:
        story.waits(HALF)
        before = next(send for send in story.those(Send) if send.request.method == "INVITE")
    story.responds(before, 422, headers=[("Min-SE", "7200")])
    if why == "refreshed":
        story.waits(0)
    again = story.sent("INVITE", Party.CALLEE)
    assert of(again.request, "Session-Expires") == "7200;refresher=uac"
    assert again.request.body == before.request.body
    story.responds(again, 200, ANSWER)
    assert isinstance(story.call.phase, Answered)


def test_a_move_while_we_refresh_is_told_afterwards():
    story = call_with(callee=[("Session-Expires", "1800;refresher=uac")], caller=[TIMER])
    story.waits(HALF)
    again = story.sent("INVITE", Party.CALLEE)
    story.moved()
    assert len(story.those(Send)) == 1, "only the caller may be told now"
    story.responds(again, 200, ANSWER)
    assert b"m=audio 31002" in story.sent("INVITE", Party.CALLEE).request.body


def test_a_refresh_waits_for_the_change_that_is_under_way():
    story = call_with(callee=[("Session-Expires", "1800;refresher=uac")], caller=[TIMER])
    story.waits(HALF - 1)
    story.asks(Party.CALLER, "INVITE", sdp(direction="sendonly", version=2), headers=[TIMER])
    story.waits(2)
    assert story.none(Send)
    story.anchored()
    change = story.sent("INVITE", Party.CALLEE)
    story.responds(change, 200, ANSWER, headers=[("Session-Expires", "1800;refresher=uac")])
    assert story.call.callee.expiry.refresh_at == story.now + HALF, "the change has refreshed the session"


def test_an_adopted_call_begins_its_timers_anew():
    story = call_with(caller=[TIMER, ("Session-Expires", "600")])
    call = adopted(story.call, 5.0)
    assert call.caller.expiry.until == 5.0 + 600 - 32
    assert call.callee.expiry.refresh_at == 5.0 + HALF


def test_both_parties_are_gone_and_the_call_ends_by_itself():
    story = call_with(caller=[TIMER, ("Session-Expires", "600")])
    while not story.over:
        due = wake_at(story.call)
        assert due is not None, "it would be kept for ever"
        for send in story.waits():
            if isinstance(send, Send):
                story.silent(send)
    assert story.now < 100 + 1800
