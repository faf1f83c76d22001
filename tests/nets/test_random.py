"""Any sequence of events: no decision raises, every call ends, nothing is left waiting for a response."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from mediaha.model.media import Anchored, Fault, MediaRefused, Stranded
from mediaha.nets.call import IDLE, Answered, AwaitingAck, Ending, Idle, Offering, Over, Ringing, Trying, wake_at
from mediaha.nets.errand import bridge_for, call_for, replacing, travelling
from mediaha.nets.events import (
    Acked,
    AnswerMedia,
    Bereft,
    Cancelled,
    DropMedia,
    FindWays,
    GiveBack,
    HandOver,
    Joined,
    Keep,
    Lent,
    MediaFailed,
    MediaReady,
    OfferMedia,
    Orphan,
    PickedUp,
    PlaceFor,
    Progressed,
    Reply,
    Report,
    Returned,
    Send,
    SendAck,
    Stop,
    TakeBack,
    Taken,
    Tick,
    Unanswered,
    WaysFound,
)
from mediaha.nets.referral import Referral
from mediaha.nets.underway import Party, Purpose, Transfer
from mediaha.nets.written import adopted, read_back, write_down
from tests.nets.story import ANSWER, CALLER, OFFER, TARGETS, Story, invite, media_sdp, phones_at, sdp, talking

CHANCES = st.integers(min_value=0, max_value=2**16)
METHODS = [*["INVITE"] * 12, *["UPDATE"] * 4, *["PRACK"] * 2, "BYE", "INFO", "MESSAGE", "OPTIONS", *["REFER"] * 3]
KIND = [100, 180, *[183] * 3, *[200] * 30, 491, 491, 491]
RINGS = [180, *[183] * 4, 200]
UNKIND = [408, 422, 422, 481, 486, 487, 488, 500, 501, 503, 302]
RELIABLY = [(), (("Supported", "100rel"),), (("Require", "100rel"),)]
TIMERS = [(), (), (("Supported", "timer"), ("Session-Expires", "100")), (("Session-Expires", "90;refresher=uas"),)]
ALLOWS = [(), *[(("Allow", "INVITE, UPDATE"),)] * 3, (("Allow", "INVITE"),)]
BODIES = [b"", *[OFFER] * 4, *[ANSWER] * 4, sdp(port=4002, version=2), b"nonsense"]


REFERS = [
    *[(("Refer-To", "<sip:sue@sue.test>"),)] * 6,
    (("Refer-To", "<sip:sue@sue.test>"), ("Refer-Sub", "false")),
    (),
]
BECAME = [180, 180, 200, 200, 486, 503]


FOLLOWED = structs.replace(TARGETS[0], follows=True)


PHONES = phones_at(("a", 1), ("B", 1), ("c", 1), ("D", 0.5), ("e", 0.5))


class Chaos(Story):
    """Draws what happens next from a list of numbers; plays pool and parties with every right to be odd."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.pool = []
        self.open = {}
        self.waiting = {1: "INVITE"}
        self.finals = {}
        self.awaiting_ack = []
        self.drops = 0
        self.offered = ""
        self.calm = self.draw() % 2
        self.rseq = 0
        self.placed = []
        self.away = set()
        self.reports = []
        self.late = None
        self.looking = None
        self.lender = ""
        begins = self.begins()
        if "begun" in begins:
            self.lender = begins["begun"][0].lender
        super().__init__(**begins)

    def begins(self):
        return {
            "request": invite(self.pick([OFFER, OFFER, b""]), headers=self.pick(TIMERS) + self.pick(RELIABLY)),
            "targets": self.pick([TARGETS, (FOLLOWED, TARGETS[1]), PHONES]),
        }

    def draw(self):
        return self.numbers.pop() if self.numbers else 0

    def pick(self, of):
        return of[self.draw() % len(of)]

    def _took(self, effects):
        super()._took(effects)
        for effect in self.last:
            match effect:
                case OfferMedia() | AnswerMedia():
                    if isinstance(effect, OfferMedia):
                        self.offered = effect.from_tag
                    assert effect.from_tag == self.offered, "an answer to an offer nobody made"
                    self.pool.append(effect)
                    assert len(self.pool) == 1, "one question at a time"
                case Send():
                    assert effect.ref not in self.open
                    self.open[effect.ref] = effect
                case Reply(status=status) if status >= 200:
                    method = self.waiting.pop(effect.tx)  # a second final response would raise here
                    self.finals[effect.tx] = status
                    if method == "INVITE" and status < 300:
                        self.awaiting_ack.append(effect.tx)
                case SendAck():
                    assert effect.request.method == "ACK"
                case DropMedia():
                    self.drops += 1
                case _:
                    self.concerns_others(effect)

        self.check()

    def concerns_others(self, effect):
        """What NeTS carries to other calls, or looks up in the site."""
        match effect:
            case PlaceFor():
                self.placed.append(effect.transfer)
            case FindWays():
                self.looking = effect
            case TakeBack():
                assert effect.call == self.placed.pop().call, "what was begun is taken back, once"
            case HandOver():
                assert effect.call == self.placed[-1].call
                self.away.add(effect.party)
            case Keep() | GiveBack():
                assert self.lender, "there is somebody to tell, and once"
                assert isinstance(effect, Keep) or isinstance(self.call.phase, Ending | Over)
                self.lender = ""
            case Orphan():
                assert isinstance(self.call.phase, Ending | Over)
            case Report():
                assert all(status < 200 for status in self.reports), "nothing comes after the end"
                self.reports.append(effect.status)

    def check(self):
        """What must hold after every decision."""
        for party in Party:
            leg = self.call.leg(party)
            ours = [item for item in self.call.open if item.party is party and item.purpose is Purpose.MEDIA]
            answered = isinstance(self.call.phase, Answered)
            assert len(ours) <= 1, "one INVITE of ours at a time on a leg"
            if answered:
                assert party not in self.away, "nobody is in two calls"
            if ours and answered and not isinstance(leg.exchange, AwaitingAck):
                assert leg.exchange == Offering(ours[0].ref)
            if answered and self.call.relay is None and isinstance(leg.exchange, Idle) and not leg.away:
                assert not leg.pending or self.call.is_waiting(party), "who may be told is told at once"
        legs = self.call.caller, self.call.callee
        if self.call.relay is None and all(isinstance(leg.exchange, Idle) and not leg.away for leg in legs):
            assert not self.call.waiting, "nobody waits for nothing"

    def find(self):
        """Where a call is sent on to is found out at once."""
        wanted, self.looking = self.looking, None
        found = tuple(structs.replace(FOLLOWED, user=user) for user, _ in wanted.contacts if self.draw() % 4)
        self.happens(WaysFound(wanted.ref, wanted.response, found))

    def step(self):
        if self.looking is not None:
            self.find()
            return
        self.now += self.draw() % 7 * 0.1 if self.draw() % 32 else 40.0
        actions = [self.party, self.tick] if self.calm else [self.party, self.move, self.tick, self.lose]
        if self.draw() % 8 == 0:
            actions.append(self.lend)
        if self.pool:
            actions += [self.speak_pool] * 4
        if self.open:
            actions += [self.answer] * 4
        if self.awaiting_ack:
            actions += [self.ack] * 4
        if self.placed:
            actions += [self.progress] * 2
        if self.call.on_behalf_of:
            actions += [self.join] * 2
        self.pick(actions)()

    def progress(self):
        """Something becomes of the call that was made for a transfer."""
        transfer = self.placed[-1]
        status = self.pick(BECAME)
        if status >= 200 and not self.call.transfer:
            self.placed.pop()
        elif status >= 200:
            self.happens(Progressed(transfer.call, status, "x"))
            self.placed.pop()
        else:
            self.happens(Progressed(transfer.call, status, "x"))

    def join(self):
        """The one on whose behalf the call is made comes: before the answer, with it, or too late."""
        answered = 200 in self.reports
        if not self.call.joined and (answered or (max(self.reports, default=100) < 200 and self.draw() % 8 == 0)):
            self.happens(Joined(travelling(self.late, self.now, self.rules)))

    def speak_pool(self):
        if not self.pool:
            return
        question = self.pool.pop()
        if self.draw() % 16 == 0:
            self.happens(MediaFailed(question.ask, MediaRefused(self.pick(list(Fault)), "x")))
        else:
            server = self.pick(["a", "b"])
            anchored = Anchored(server, media_sdp(server, 30000 + self.draw() % 100 * 2), ())
            self.happens(MediaReady(question.ask, anchored))

    def answer(self):
        if self.open:
            ref = self.pick(sorted(self.open))
            kind = (
                RINGS
                if isinstance(self.call.phase, Trying | Ringing) and self.open[ref].request.method == "INVITE"
                else KIND
            )
            self.respond(ref, self.pick(UNKIND if self.draw() % 24 == 0 else kind))

    def respond(self, ref, status):
        send = self.open[ref]
        final = status >= 200
        if final:
            del self.open[ref]
        contact = self.pick(["<sip:bob@198.51.100.1:5060>"] * 4 + ["<nonsense", "<sip:bob@host.test>"])
        body = self.pick(BODIES)
        headers = (*self.pick(TIMERS), *self.pick(ALLOWS), *((("Min-SE", "4000"),) if status == 422 else ()))
        if 100 < status < 200 and self.draw() % 2:
            self.rseq += self.draw() % 8 > 0
            self.fork = self.pick(["far", "far", "far", "other"])
            headers += (("Require", "100rel"), ("RSeq", str(self.rseq)))
        self.responds(send, status, body, tag=self.pick(["far", "far", "other"]), contact=contact, headers=headers)

    def lose(self):
        if self.open and self.draw() % 32 == 0:
            ref = self.pick(sorted(self.open))
            del self.open[ref]
            self.happens(Unanswered(ref, self.draw() % 2 == 0))

    def party(self):
        party = self.pick(list(Party))
        if self.draw() % 16 == 0:
            self.happens(Cancelled(self.pick([1, self.tx])))
        elif (dialog := self.dialog_of(party)) is not None:
            ringing = isinstance(self.call.phase, Ringing) and self.draw() % 2
            method = "UPDATE" if ringing else self.pick(METHODS)
            promised = self.call.reliable
            if promised is not None and promised.sent is not None and party is Party.CALLER and self.draw() % 2:
                method = "PRACK"
            rack = (("RAck", f"{promised.rseq if promised else 1} 1 INVITE"),) if method == "PRACK" else ()
            self.waiting[self.tx + 1] = method
            refers = self.pick(REFERS) if method == "REFER" else ()
            headers = (*self.pick(TIMERS), *self.pick(ALLOWS), *rack, *refers)
            self.asks(party, method, self.pick(BODIES), headers=headers, dialog=dialog)

    def dialog_of(self, party):
        phase = self.call.phase
        if party is Party.CALLEE and isinstance(phase, Ringing) and phase.forks:
            return self.pick(phase.forks).dialog
        leg = self.call.leg(party)
        return None if leg.away else leg.dialog

    def lend(self):
        """A party is wanted by another call, stays there or comes back, or a call that rings is picked up."""
        call = self.call
        away = next((one for one in Party if call.leg(one).away), None)
        if away is not None:
            leg = call.leg(away)
            dialog, _ = leg.dialog.request("INVITE")
            there = structs.replace(leg, dialog=dialog, told=media_sdp("b", 30998), version=leg.version + 1, away="")
            back = Returned(structs.replace(there, exchange=self.pick([IDLE, Offering(7)])), self.draw() % 2 > 0)
            self.happens(self.pick([back, back, Taken(away, "another")]))
        elif call.lender and self.draw() % 2:
            self.lender = ""
            self.happens(Bereft())
        elif isinstance(call.phase, Ringing):
            self.tx += 1
            self.waiting[self.tx] = "INVITE"
            self._serials[Party.CALLEE] = max(1, self._serials[Party.CALLEE])
            picks_up = invite(self.pick([OFFER, ANSWER, b""]), headers=self.pick(TIMERS))
            self.happens(PickedUp(self.tx, picks_up, CALLER, "", self.draw() % 2 > 0, True))
        elif isinstance(call.phase, Answered) and call.waiting_tx is None and call.joined:
            self.happens(Lent(self.pick(list(Party)), "another"))

    def ack(self):
        tx = self.awaiting_ack.pop(0)
        party = next((one for one in Party if getattr(self.call.leg(one).exchange, "tx", None) == tx), Party.CALLER)
        self.happens(Acked(party, tx, self.pick(BODIES)))

    def move(self):
        kind = self.draw() % 8
        if kind == 0:
            self.happens(Stranded("call-1", "a", "dead"))
        elif kind == 1 and self.draw() % 16 == 0:
            self.happens(self.pick([Stop("stopped"), Taken(self.pick(list(Party)), "another")]))
        elif self.offered:  # else the pool knows of no such call
            self.moved(self.pick(["a", "b", "c"]), answered=self.draw() % 3 > 0)

    def tick(self):
        self.happens(Tick())

    def ends(self):
        """Nothing more happens but time: the call must end by itself once it is stopped."""
        if not isinstance(self.call.phase, Over):
            self.happens(Stop("the end"))
        for _ in range(50):
            due = wake_at(self.call)
            if due is None:
                break
            self.now = max(due, self.now)
            self.happens(Tick())
        for ref in list(self.open):
            del self.open[ref]
            self.happens(Unanswered(ref, False))
        assert isinstance(self.call.phase, Over), self.call
        assert not self.waiting, f"{self.waiting} never got a final response"
        assert wake_at(self.call) is None
        assert self.drops == 1, "the media is dropped, once"


class Errand(Chaos):
    """A call that is made on behalf of a party of another one."""

    def __init__(self, numbers):
        self.first = talking()
        super().__init__(numbers)
        self.waiting = {}
        self.late = self.first.call.callee

    def begins(self):
        self.offered = ""
        call, rules = self.first.call, self.first.rules
        transfer = Transfer(
            by=Party.CALLER, call="call-2", referral=Referral(uri="sip:sue@sue.test"), event="refer;id=2", until=200.0
        )
        if self.draw() % 2:
            begun = call_for(
                call, transfer, user="sue", domain="desk.test", servers=("a", "b"), targets=TARGETS, placed_at=0.0,
                now=100.0, rules=rules,
            )  # fmt: skip
        else:
            consulted = talking(seed="another")
            leg = travelling(consulted.call.callee, 100.0, rules)
            begun = bridge_for(call, transfer, leg, consulted.call, placed_at=0.0, now=100.0, rules=rules)
        return {"begun": begun}


class Replacing(Chaos):
    """A call whose callee was in another one before."""

    def begins(self):
        first = talking()
        leg = travelling(first.call.callee, 100.0, first.rules)
        begun = replacing(
            invite(self.pick([OFFER, OFFER, b""]), headers=self.pick(TIMERS)), 1, CALLER, leg, first.call, id="call-2",
            seed="seed", placed_at=0.0, now=100.0, rules=first.rules,
        )  # fmt: skip
        return {"begun": begun}


@settings(max_examples=100, deadline=None)
@given(st.lists(CHANCES, min_size=40, max_size=400))
def test_any_sequence_of_events_is_survived(numbers):
    survives(numbers)


@pytest.mark.parametrize("seed", range(200))
def test_a_seeded_life_is_survived(seed):
    chance = random.Random(seed)
    survives([chance.randrange(2**16) for _ in range(600)])


@pytest.mark.parametrize("kind", [Errand, Replacing])
@pytest.mark.parametrize("seed", range(100))
def test_a_seeded_life_of_one_who_was_in_another_call_is_survived(kind, seed):
    chance = random.Random(seed)
    survives([chance.randrange(2**16) for _ in range(600)], kind)


def survives(numbers, kind=Chaos):
    chaos = kind(numbers)
    while chaos.numbers and not isinstance(chaos.call.phase, Over):
        chaos.step()
        if isinstance(chaos.call.phase, Answered):
            assert read_back(write_down(chaos.call)) == chaos.call
            assert (adopted(chaos.call, chaos.now) is not None) == (chaos.call.joined and not chaos.call.lender)
    chaos.ends()
