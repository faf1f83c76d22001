"""Registering at a carrier, step by step: when it is asked, whom, and what an answer makes of it."""

from __future__ import annotations

import pytest

from mediaha.model.address import Address
from mediaha.nets.trunks import registration as decide
from mediaha.nets.trunks.registering import granted_untrusted
from mediaha.sip.message import Headers, Request
from mediaha.sip.target import UDP, Target

FIRST, SECOND = (Target(UDP, Address(f"198.51.100.{number}", 5060)) for number in (1, 2))
TRY_S = 2.0


class Carrier:
    """A carrier with two targets, played by the test; the clock is a number."""

    def __init__(self, expires_s=600):
        self.now = 1000.0
        self.state = decide.begin(expires_s, self.now)
        self.ask = None
        self.targets = (FIRST, SECOND)

    def looks(self, after_s=0.0):
        """Time goes by. Gives whom is asked, if anybody is."""
        self.now += after_s
        return self._took(decide.look(self.state, self.targets, TRY_S, self.now, 1.0))

    def due(self):
        """Until it is time for something; gives how long that took, and who is asked."""
        waited = decide.wake_at(self.state) - self.now
        return waited, self.looks(waited)

    def grants(self, seconds=600):
        self.state = decide.granted(self.state, self.state.number, seconds, self.now)

    def refuses(self, status, why="no"):
        return self._took(decide.failed(self.state, self.state.number, why, TRY_S, self.now, 1.0, status=status))

    def wants_longer(self, seconds):
        return self._took(decide.too_brief(self.state, self.state.number, seconds, TRY_S, self.now, 1.0))

    def _took(self, decision):
        self.state, self.ask = decision
        return self.ask.target if self.ask else None


def test_it_is_renewed_well_before_it_ends():
    carrier = Carrier()
    assert carrier.looks() == FIRST
    assert carrier.ask.expires_s == 600
    carrier.grants(120)
    assert carrier.state.bound.until == carrier.now + 120
    assert carrier.due() == (pytest.approx(90), FIRST)


def test_a_silent_target_is_followed_by_the_next_one():
    carrier = Carrier()
    assert carrier.looks() == FIRST
    assert carrier.looks(1.9) is None
    assert carrier.looks(0.1) == SECOND
    carrier.grants()
    assert carrier.state.bound.target == SECOND
    assert carrier.due()[1] == FIRST, "the order of the list, each time"


def test_when_nobody_takes_it_the_pauses_grow_up_to_five_minutes():
    carrier = Carrier()
    carrier.looks()
    pauses = []
    for _ in range(9):
        assert carrier.refuses(503) == SECOND
        assert carrier.refuses(503) is None
        pauses.append(carrier.due()[0])
    assert pauses == [pytest.approx(seconds) for seconds in (4, 8, 16, 32, 64, 128, 256, 300, 300)]
    carrier.grants()
    assert not carrier.state.why


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_carrier_that_will_not_have_us_is_asked_rarely_and_not_elsewhere(status):
    carrier = Carrier()
    carrier.looks()
    assert carrier.refuses(status) is None
    assert carrier.due()[0] > 200
    carrier.refuses(status)
    carrier.state = decide.at_once(carrier.state, carrier.now)
    assert carrier.looks() == FIRST, "a new secret is tried at once"


def test_a_carrier_that_knows_us_goes_on_to_while_it_does_not_answer():
    carrier = Carrier()
    carrier.looks()
    carrier.grants(100)
    carrier.due()
    carrier.refuses(500)
    carrier.refuses(500, "broken")
    assert carrier.state.bound.target == FIRST
    assert carrier.state.why == f"{SECOND}: broken"
    while carrier.state.bound is not None:
        carrier.due()
        assert carrier.now < 1200
        if carrier.state.asking:
            carrier.refuses(500)
    assert carrier.now >= 1100


def test_a_carrier_that_wants_longer_gets_it():
    carrier = Carrier(60)
    carrier.looks()
    assert carrier.wants_longer(1800) == FIRST
    assert carrier.ask.expires_s == 1800
    carrier.grants(1800)
    carrier.due()
    assert carrier.ask.expires_s == 1800


@pytest.mark.parametrize("minimum", [0, 60, 10**8])
def test_a_423_that_makes_no_sense_is_a_failure(minimum):
    carrier = Carrier(60)
    carrier.looks()
    assert carrier.wants_longer(minimum) == SECOND
    assert carrier.ask.expires_s == 60


def test_a_target_that_is_down_is_left_before_its_time():
    carrier = Carrier()
    carrier.looks()
    carrier.grants()
    carrier.targets = (SECOND, FIRST)
    carrier.state = decide.deserted(carrier.state, carrier.now + 5)
    assert carrier.looks(5) == SECOND


def test_an_answer_to_an_earlier_question_is_none():
    carrier = Carrier()
    carrier.looks()
    late = carrier.state.number
    assert carrier.looks(2.0) == SECOND
    assert decide.granted(carrier.state, late, 600, carrier.now) == carrier.state
    assert decide.failed(carrier.state, late, "no", TRY_S, carrier.now, 1.0) == (carrier.state, None)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ([("Contact", "<sip:office@192.0.2.1:5060>;expires=120")], 120),
        ([("Contact", "<sip:other@192.0.2.9>;expires=9, <sip:office@192.0.2.1:5060>;q=0.5;expires=77")], 77),
        ([("Contact", "<sip:office@192.0.2.1:5060>"), ("Expires", "300")], 300),
        ([("Expires", "300")], 300),
        ([], 600),
        ([("Contact", "*"), ("Expires", "many")], 600),
        ([("Contact", "<sip:office@192.0.2.1:5060>;expires=0")], 0),
    ],
)
def test_what_was_granted_is_what_the_answer_says_of_our_own_contact(fields, seconds):
    request = Request(
        "REGISTER", "sip:carrier.test", Headers([
            ("Contact", "<sip:office@192.0.2.1:5060>"), ("From", "<sip:office@carrier.test>;tag=1"),
            ("To", "<sip:office@carrier.test>"), ("Call-ID", "1"), ("CSeq", "1 REGISTER"),
        ])
    )  # fmt: skip
    assert granted_untrusted(request.response(200, to_tag="x", headers=fields), request, 600) == seconds
