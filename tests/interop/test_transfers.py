"""Transfers with SIPp and baresip: who is connected with whom afterwards, and what each of them is told.

Ann refers, Bob is transferred, Sue is the target. The messages are SIPp's part, the sound is baresip's.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from tests.interop.test_calls import IS_HUNG_UP
from tests.peers.baresip import Baresip
from tests.peers.installed import needs
from tests.peers.sipp import (
    Sipp,
    callee_request,
    expect,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
)
from tests.peers.sitefile import CALM, SiteFile, ours

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester"), needs("baresip", "baresip-core")]

ANSWERS = [take("INVITE"), respond(200, "OK", "sendrecv"), take("ACK")]
IS_TOLD_OF_NEW_MEDIA = [take("INVITE"), respond_in_dialog(200, "OK", "sendrecv"), take("ACK")]
HANGS_UP = [pause(200), callee_request("BYE"), expect(200)]
IS_TRANSFERRED = [*ANSWERS, *IS_TOLD_OF_NEW_MEDIA, *HANGS_UP]


RINGS = re.compile(r"^SIP/2.0 180.*?\r?\n\r?\n", re.S | re.M)
ACKNOWLEDGES = re.compile(r"^ACK sip:.*?\r?\n\r?\n", re.S | re.M)


def last_dialog(phone):
    """The call that a phone has placed last, as NeTS knows it: what a Replaces says of it."""
    sent = ACKNOWLEDGES.findall(phone.messages())[-1]
    ours, theirs = (re.search(rf"^{name}: .*?tag=(\S+)", sent, re.M)[1] for name in ("To", "From"))
    call_id = re.search(r"^Call-ID: (\S+)", sent, re.M)[1]
    return f"{call_id};to-tag={ours};from-tag={theirs}"


def calls(name="bob", **headers):
    return [invite(host=f"{name}.test", **headers), *provisional(), expect(200), request("ACK")]


def refers(to, more=""):
    return [request("REFER", headers=f"Refer-To: <{to}>\n{more}"), expect(202)]


def is_told(line, state="active"):
    """A NOTIFY with this status line."""
    return [take("NOTIFY", pattern=f"Subscription-State: {state}.*SIP/2.0 {line}"), respond_in_dialog(200, "OK")]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    names = ("one", "two")
    # The port after a baresip's own is its, too.
    lists = {f"{name}.test": names for name in ("bob", "bob-", "sue", "sue-", "ann", "ann-")}
    return SiteFile(tmp_path_factory.mktemp("site"), *map(ours, names), timings=CALM, lists=lists)


@pytest.fixture(scope="module")
def site(file):
    with file.serve() as running:
        yield running.ready()


@pytest.fixture
def town(file, site, tmp_path):
    """Phones by name; those that are called are reached under their name's domain."""

    class Town:
        phones = ()

        def phone(self, name, *steps, **options):
            port = file.targets.get(f"{name}.test") if steps[0] is ANSWERS[0] else None
            remote = None if port else site.address
            phone = Sipp(steps, tmp_path, name, port=port, remote=remote, **options)
            self.phones = (*self.phones, phone)
            return phone

        def dialog(self, phone):
            """The dialog of a caller, as NeTS knows it: what a Replaces says of it."""
            site.wait_until(lambda _: ACKNOWLEDGES.search(phone.messages()), f"{phone.name} is connected")
            return last_dialog(phone)

        def early_dialog(self, phone):
            """The same of somebody who rings."""
            site.wait_until(lambda _: RINGS.search(phone.messages()), f"{phone.name} rings")
            said = RINGS.search(phone.messages())[0]
            ours, theirs = (re.search(rf"^{name}: .*?tag=(\S+)", said, re.M)[1] for name in ("From", "To"))
            return f"{re.search(r'^Call-ID: (.*?)$', said, re.M)[1].strip()};to-tag={ours};from-tag={theirs}"

        def all_go_as_written(self):
            for phone in self.phones:
                phone.wait()
            site.settled()

    town = Town()
    yield town
    for phone in town.phones:
        phone.stop()


def test_blind(town):
    town.phone("sue", *ANSWERS, *IS_HUNG_UP)
    town.phone("bob", *IS_TRANSFERRED)
    ends = [*is_told("100"), *is_told("200", "terminated"), *IS_HUNG_UP]
    town.phone("ann", *calls(), *refers("sip:sue@sue.test"), *ends)
    town.all_go_as_written()


def test_blind_by_who_was_called(town):
    refer = callee_request("REFER", headers="Refer-To: <sip:sue@sue.test>\n")
    told = [*is_told("100"), *is_told("200", "terminated")]
    town.phone("sue", *ANSWERS, *IS_HUNG_UP)
    town.phone("bob", *ANSWERS, pause(200), refer, expect(202), *told, *IS_HUNG_UP)
    moved = [take("INVITE"), respond_in_dialog(200, "OK", "sendrecv"), take("ACK"), pause(200)]
    town.phone("ann", *calls(), *moved, request("BYE"), expect(200))
    town.all_go_as_written()


def test_blind_while_it_rings(town):
    rings = [ANSWERS[0], respond(180, "Ringing"), pause(500), *ANSWERS[1:]]
    town.phone("sue", *rings, *IS_HUNG_UP)
    town.phone("bob", *IS_TRANSFERRED)
    ends = [*is_told("100"), *is_told("180"), *is_told("200", "terminated"), *IS_HUNG_UP]
    town.phone("ann", *calls(), *refers("sip:sue@sue.test"), *ends)
    town.all_go_as_written()


def test_blind_and_the_target_is_busy(town):
    """The two talk on; a second try goes through."""
    town.phone("sue", ANSWERS[0], respond(486, "Busy Here"), take("ACK"))
    town.phone("bob", *ANSWERS, *IS_HUNG_UP)
    ends = [*is_told("100"), *is_told("486", "terminated"), pause(200), request("BYE"), expect(200)]
    town.phone("ann", *calls(), *refers("sip:sue@sue.test"), *ends)
    town.all_go_as_written()


def test_blind_to_somebody_unknown(town):
    town.phone("bob", *ANSWERS, *IS_HUNG_UP)
    ends = [*is_told("100"), *is_told("404", "terminated"), request("BYE"), expect(200)]
    town.phone("ann", *calls(), *refers("sip:sue@nowhere.test"), *ends)
    town.all_go_as_written()


def test_blind_and_the_referrer_hangs_up_at_once(town):
    """It has left the call, not the subscription: it is told how it goes on (RFC 5057)."""
    rings = [ANSWERS[0], pause(500), respond(180, "Ringing"), pause(500), *ANSWERS[1:]]
    town.phone("sue", *rings, *IS_HUNG_UP)
    town.phone("bob", *IS_TRANSFERRED)
    leaves = [*is_told("100"), request("BYE"), expect(200)]
    ann = [*calls(), *refers("sip:sue@sue.test"), *leaves, *is_told("180"), *is_told("200", "terminated")]
    town.phone("ann", *ann)
    town.all_go_as_written()


def test_blind_without_being_told(town):
    town.phone("sue", *ANSWERS, *IS_HUNG_UP)
    town.phone("bob", *IS_TRANSFERRED)
    town.phone("ann", *calls(), *refers("sip:sue@sue.test", "Refer-Sub: false\n"), *IS_HUNG_UP)
    town.all_go_as_written()


def test_attended(town):
    """Ann's two calls are two SIPp; the second tells of the first."""
    town.phone("sue", *ANSWERS, *IS_TOLD_OF_NEW_MEDIA, *IS_HUNG_UP)
    town.phone("bob", *IS_TRANSFERRED)
    first = town.phone("ann", *calls("sue"), *IS_HUNG_UP)
    replaces = quote(town.dialog(first), safe="")
    ends = [*is_told("100"), *is_told("200", "terminated"), *IS_HUNG_UP]
    town.phone("also_ann", *calls(), *refers(f"sip:sue@sue.test?Replaces={replaces}"), *ends)
    town.all_go_as_written()


def test_somebody_takes_the_place_of_a_party(town):
    """RFC 3891: a third phone picks the call up; the one who had it gets BYE."""
    town.phone("bob", *IS_TRANSFERRED)
    first = town.phone("ann", *calls(), *IS_HUNG_UP)
    town.phone("sue_", *calls(headers=f"Replaces: {town.dialog(first)}\n"), *IS_HUNG_UP)
    town.all_go_as_written()


def test_a_call_that_rings_is_picked_up(town):
    """The picker knows the early dialog from the phone that rings."""
    terminated = [respond(487, "Request Terminated", cseq="CSeq: 1 INVITE"), take("ACK")]
    leaves = [take("CANCEL"), respond(200, "OK"), *terminated]
    rings = town.phone("bob", ANSWERS[0], respond(180, "Ringing"), *leaves)
    town.phone("ann", *calls(), pause(500), request("BYE"), expect(200))
    town.phone("sue_", *calls(headers=f"Replaces: {town.early_dialog(rings)};early-only\n"), *IS_HUNG_UP)
    town.all_go_as_written()


@pytest.mark.parametrize(("replaces", "status"), [("x;to-tag=1;from-tag=2", 481), ("nonsense", 400)])
def test_nobody_takes_a_place_that_is_not_there(town, replaces, status):
    town.phone("sue_", invite(headers=f"Replaces: {replaces}\n"), *provisional(), expect(status))
    town.all_go_as_written()


def test_a_refer_that_belongs_to_no_call(town):
    own = {"uri": "sip:desk@[remote_ip]:[remote_port]", "headers": "Refer-To: <sip:sue@sue.test>\n"}
    town.phone("stranger", request("REFER", to_tag="", **own), expect(403))
    town.phone("latecomer", request("REFER", to_tag=";tag=nobody", **own), expect(481))
    town.all_go_as_written()


# With real sound


@pytest.fixture
def phones(file, site, tmp_path):
    """Ann, Bob and Sue with real phones; Ann's calls go through NeTS whomever they are for."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Baresip(name, tmp_path, answers=name != "ann", port=file.targets[f"{name}.test"], proxy=site.address)
            )
            for name in ("ann", "bob", "sue")
        ]


def connect(ann, other):
    ann.command("dial", f"sip:{other.name}@{other.name}.test")
    ann.wait_for("CALL_ESTABLISHED")
    other.wait_for("CALL_ESTABLISHED")


def talk_on(site, one, other):
    """Ann is gone; the two hear one another. One of them hangs up, and nothing is left."""
    time.sleep(3)
    assert not one.has_told("CALL_CLOSED"), one.log()
    other.command("hangup")
    one.wait_for("CALL_CLOSED")
    site.settled()
    time.sleep(0.2)  # the recording is closed after the event is told, and nothing says when
    for phone in (one, other):
        heard = phone.heard()
        print(f"{phone.name}: {heard.frames} frames, longest gap {heard.gap_ms} ms")
        # Before the transfer there was a second of it at the most.
        assert heard.frames > 110, f"{phone.name} has heard {heard}"


def test_baresip_transfers_blind_and_the_other_two_hear_one_another(site, phones):
    ann, bob, sue = phones
    connect(ann, bob)
    time.sleep(1)
    ann.command("transfer", "sip:sue@sue.test")
    sue.wait_for("CALL_ESTABLISHED")
    ann.wait_for("CALL_CLOSED")
    talk_on(site, bob, sue)


def test_baresip_transfers_attended_and_the_other_two_hear_one_another(site, phones):
    ann, bob, sue = phones
    connect(ann, bob)
    first = last_dialog(ann)
    connect(ann, sue)
    time.sleep(1)
    ann.command("transfer", f"sip:bob@bob.test?Replaces={quote(first, safe='')}")
    ann.wait_for("CALL_CLOSED")
    ann.wait_for("CALL_CLOSED")
    talk_on(site, bob, sue)


@pytest.mark.parametrize("when", ["while it rings", "afterwards"])
def test_the_media_server_is_killed_during_a_transfer(site, phones, when):
    ann, bob, sue = phones
    connect(ann, bob)
    time.sleep(0.5)
    ann.command("transfer", "sip:sue@sue.test")
    if when == "afterwards":
        ann.wait_for("CALL_CLOSED")
    carrier = next(server["name"] for server in site.status()["servers"] if server["calls"])
    site.lose(carrier)
    sue.wait_for("CALL_ESTABLISHED")
    if when != "afterwards":
        ann.wait_for("CALL_CLOSED")
    talk_on(site, bob, sue)
    site.ready()
