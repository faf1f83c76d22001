"""Who calls is told to those who may know it, and nobody is believed who may say anything."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mediaha.nets.identity import ANONYMOUS
from tests.nets.story import ANSWER, TARGETS, Party, Reply, Story, invite, talking

IDENTITY = ("P-Asserted-Identity", '"Ann" <sip:ann@pbx.test>')
DIVERTED = ("Diversion", "<sip:boss@pbx.test>;reason=no-answer")
STRANGER = replace(TARGETS[0], trusted=False, history=False)
PHONE = replace(TARGETS[0], trusted=False, is_phone=True)


def sent(target, *headers, trusted=True):
    """What the target gets of an INVITE with these headers."""
    story = Story(invite(headers=headers), targets=(target,), trusted=trusted)
    story.anchored()
    return story, story.sent("INVITE").request


@pytest.mark.parametrize("privacy", [(), (("Privacy", "id"),), (("Privacy", "none"),)])
def test_a_trusted_target_is_told_everything_and_sees_to_privacy_itself(privacy):
    _, request = sent(TARGETS[0], IDENTITY, DIVERTED, *privacy)
    assert {IDENTITY, DIVERTED, *privacy} <= set(request.headers)
    assert "ann@pbx.test" in request.headers.get("From")


@pytest.mark.parametrize("wish", ["id", "user", "header;critical", "ID, session"])
@pytest.mark.parametrize("target", [STRANGER, PHONE])
def test_who_wants_to_be_nobody_is_nobody_to_a_stranger(wish, target):
    _, request = sent(target, IDENTITY, DIVERTED, ("Organization", "Pbx"), ("Privacy", wish))
    assert request.headers.get("From").startswith(ANONYMOUS)
    assert "ann" not in "".join(value for name, value in request.headers if name != "Session-ID").lower().replace(
        "anonymous", ""
    )
    assert not {"Diversion", "Organization", "P-Asserted-Identity"} & {name for name, _ in request.headers}


def test_a_stranger_gets_no_identity_unless_the_caller_says_that_it_may():
    _, request = sent(STRANGER, IDENTITY)
    assert "P-Asserted-Identity" not in request.headers
    assert "ann@pbx.test" in request.headers.get("From")
    _, request = sent(STRANGER, IDENTITY, ("Privacy", "none"))
    assert IDENTITY in set(request.headers)


def test_a_phone_may_show_who_calls():
    _, request = sent(PHONE, IDENTITY)
    assert IDENTITY in set(request.headers)


def test_what_a_stranger_asserts_is_not_passed_on():
    preferred = ("P-Preferred-Identity", "<sip:president@pbx.test>")
    _, request = sent(TARGETS[0], IDENTITY, preferred, DIVERTED, trusted=False)
    assert "P-Asserted-Identity" not in request.headers
    assert "P-Preferred-Identity" not in request.headers


@pytest.mark.parametrize(
    ("target", "trusted", "headers", "heard"),
    [
        (TARGETS[0], True, [IDENTITY, ("Privacy", "id")], True),
        (TARGETS[0], False, [IDENTITY], True),
        (TARGETS[0], False, [IDENTITY, ("Privacy", "id")], False),
        (STRANGER, True, [IDENTITY], False),
    ],
)
def test_who_rings_is_told_by_the_same_rules(target, trusted, headers, heard):
    story, _ = sent(target, trusted=trusted)
    story.responds(story.sent("INVITE"), 180, headers=headers)
    assert (IDENTITY in story.the(Reply).headers) == heard


def test_the_dialog_goes_on_under_the_name_that_it_began_with():
    story, _ = sent(STRANGER, IDENTITY, ("Privacy", "id"))
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.anchored("a", 30002)
    story.acks("caller", tx=1)
    story.moved("b")
    assert story.sent("INVITE", "callee").request.headers.get("From").startswith(ANONYMOUS)


@pytest.mark.parametrize(("target", "status"), [(TARGETS[0], 202), (PHONE, 202), (STRANGER, 403)])
def test_who_may_have_the_caller_transferred(target, status):
    story, _ = sent(target)
    story.responds(story.sent("INVITE"), 200, ANSWER)
    story.anchored("a", 30002)
    story.acks("caller", tx=1)
    story.asks(Party.CALLEE, "REFER", headers=[("Refer-To", "<sip:sue@desk.test>")])
    assert story.the(Reply).status == status


def test_a_stranger_who_calls_may_not_have_the_callee_transferred():
    story = talking(trusted=False)
    story.asks(Party.CALLER, "REFER", headers=[("Refer-To", "<sip:sue@desk.test>")])
    assert story.the(Reply).status == 403
