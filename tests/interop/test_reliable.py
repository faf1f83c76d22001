"""Provisional responses, reliable and not, and what may happen before the answer, with SIPp on both sides."""

from __future__ import annotations

import pytest

from tests.interop.test_calls import HANGS_UP, IS_HUNG_UP, place
from tests.peers.installed import needs
from tests.peers.sipp import (
    Step,
    expect,
    expect_reliable,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    respond_to_invite,
    take,
)

pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
]

CAN = "Supported: 100rel\nAllow: INVITE, ACK, BYE, UPDATE, PRACK\n"
MUST = f"Require: 100rel\n{CAN}"
TRYING = expect(100, optional=True)
# SIPp's own number is that of the PRACK by then; what bears another than the INVITE acknowledges nothing.
ACK = Step(request("ACK").xml.replace("[cseq]", "1"))


def rel(number):
    return f"Require: 100rel\nRSeq: {number}\nAllow: INVITE, ACK, BYE, UPDATE, PRACK\n"


def pracked(number):
    return [take("PRACK", pattern=f"RAck: {number} 1 INVITE"), respond_in_dialog(200, "OK")]


def test_both_legs_are_reliable(site, tmp_path):
    callee = [
        *[take("INVITE", pattern="100rel"), respond(180, "Ringing", headers=rel(41)), *pracked(41)],
        *[respond_to_invite(183, "Session Progress", "sendrecv", headers=rel(42)), *pracked(42)],
        *[pause(200), respond_to_invite(200, "OK", "sendrecv"), take("ACK"), *IS_HUNG_UP],
    ]
    caller = [invite(headers=MUST), TRYING, *expect_reliable(180), *expect_reliable(183, pattern="m=audio")]
    place(site, tmp_path, [*caller, expect(200), ACK, pause(200), *HANGS_UP], callee)


def test_only_the_callees_leg_is_reliable(site, tmp_path):
    callee = [
        *[take("INVITE"), respond(183, "Session Progress", "sendrecv", headers=rel(1)), *pracked(1)],
        *[pause(200), respond_to_invite(200, "OK"), take("ACK"), *IS_HUNG_UP],
    ]
    caller = [invite(), TRYING, expect(183, pattern="m=audio"), expect(200, pattern="m=audio"), request("ACK")]
    place(site, tmp_path, [*caller, pause(200), *HANGS_UP], callee)


def test_only_the_callers_leg_is_reliable_and_a_late_prack_holds_the_answer_up(site, tmp_path):
    callee = [take("INVITE"), respond(183, "Session Progress", "sendrecv"), pause(300)]
    callee += [respond(200, "OK", "sendrecv"), take("ACK"), *IS_HUNG_UP]
    received, *acknowledged = expect_reliable(183, pattern="m=audio")
    caller = [invite(headers=CAN), TRYING, received, pause(1800), *acknowledged, expect(200), ACK]
    calling, _ = place(site, tmp_path, [*caller, pause(200), *HANGS_UP], callee)
    early = [message for message in calling.messages().split("UDP message") if message.count("SIP/2.0 183")]
    assert len(early) == 3, "at once, after 0.5 and after 1.5 seconds"


def test_the_caller_holds_before_the_answer(site, tmp_path):
    callee = [
        *[take("INVITE"), respond(183, "Session Progress", "sendrecv", headers=rel(9)), *pracked(9)],
        *[take("UPDATE", pattern="a=sendonly"), respond_in_dialog(200, "OK", "recvonly", acked=False)],
        *[pause(200), respond_to_invite(200, "OK"), take("ACK"), *IS_HUNG_UP],
    ]
    update = [request("UPDATE", "sendonly", 2, headers=CAN), expect(200, pattern="a=recvonly")]
    caller = [invite(headers=CAN), TRYING, *expect_reliable(183, pattern="m=audio"), *update]
    place(site, tmp_path, [*caller, expect(200), ACK, pause(200), *HANGS_UP], callee)


def test_of_two_phones_that_answer_the_second_is_hung_up(site, tmp_path):
    callee = [
        *[take("INVITE"), respond(180, "Ringing"), respond_to_invite(180, "Ringing", fork="b")],
        *[respond_to_invite(200, "OK", "sendrecv"), take("ACK")],
        *[respond_to_invite(200, "OK", "sendrecv", fork="b"), take("ACK"), take("BYE", pattern="To:.*s[0-9]+b")],
        *[respond_in_dialog(200, "OK"), *IS_HUNG_UP],
    ]
    caller = [invite(), *provisional(), expect(200), request("ACK"), pause(1000), *HANGS_UP]
    place(site, tmp_path, caller, callee)
