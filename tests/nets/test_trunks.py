"""Trunks: what is believed of a target, in which order targets are tried, and calls that go where somebody is."""

from __future__ import annotations

import dataclasses

import pytest
import trio

from mediaha.model.address import Address
from mediaha.model.site import Domain
from mediaha.model.trunk import Trunk, TrunkState, WhenDown
from mediaha.nets.destination import Destination, plain
from mediaha.nets.trunks import health, lines, watch
from mediaha.nets.trunks.health import Down, Suspect, Up
from mediaha.nets.trunks.order import in_order
from mediaha.sip.message import Response
from mediaha.sip.resolve import cache
from mediaha.sip.target import UDP, Target
from mediaha.sip.transaction.events import Incoming
from tests.nets.story import ANSWER, Reply, Send, SendCancel, Story, Tried
from tests.nets.world import open_world, until
from tests.sip.nameserver import NameServer

TRUNK = Trunk("pbx", ("sip:198.51.100.1:5060", "sip:198.51.100.2:5060"))


class Watched:
    """A target that is checked by the rules, at the right times, while the test plays it."""

    def __init__(self, trunk=TRUNK):
        self.trunk = trunk
        self.now = 100.0
        self.health = health.begin(self.now, 0.0, trunk)

    def check(self, failure=None, *, silent=False):
        """Until the next check, which is answered, refused or not answered. Gives how long that took to come."""
        began = self.now
        while True:
            self.now = max(self.now, health.wake_at(self.health, self.trunk))
            self.health, ask = health.look(self.health, self.trunk, self.now)
            if ask:
                break
        waited = self.now - began
        if silent:
            self.now += self.trunk.try_s_max
            self.health, _ = health.look(self.health, self.trunk, self.now)
        else:
            self.now += 0.01
            self.health = health.checked(self.health, self.trunk, self.health.asked, failure, self.now)
        return waited

    @property
    def state(self):
        return type(self.health.state)


def test_a_target_is_asked_at_the_start_and_then_every_thirty_seconds():
    target = Watched()
    assert target.check() == 0
    assert isinstance(target.health.state, Up)
    assert target.check() == pytest.approx(30)


def test_a_target_in_doubt_is_asked_more_often_until_it_is_down():
    target = Watched()
    target.check()
    target.check(silent=True)
    assert target.state is Suspect
    assert target.check("unreachable") == pytest.approx(2)
    assert target.state is Suspect
    target.check("answers 503")
    assert target.state is Down
    assert target.health.state.why == "answers 503"


def test_one_answer_clears_a_suspicion():
    target = Watched()
    target.check("unreachable")
    target.check()
    assert target.state is Up
    assert target.check() == pytest.approx(30)


def test_a_target_that_was_down_must_answer_twice_in_a_row():
    target = Watched()
    for _ in range(3):
        target.check("unreachable")
    target.check()
    assert target.state is Down
    target.check("unreachable")
    target.check()
    assert target.state is Down
    assert target.check() == pytest.approx(2), "soon again after the first answer"
    assert target.state is Up


def test_a_target_that_stays_down_is_asked_less_often_but_not_rarely():
    target = Watched()
    waited = [target.check("unreachable") for _ in range(12)]
    assert waited[3:6] == pytest.approx([2, 4, 8], abs=0.1)
    assert max(waited) <= health.DOWN_CHECK_S_MAX


def test_an_answer_that_comes_too_late_is_none():
    target = Watched()
    target.check(silent=True)
    late = health.checked(target.health, TRUNK, target.health.asked, None, target.now)
    assert late is target.health


def test_a_target_that_nobody_checks_is_judged_by_calls_alone():
    target = Watched(dataclasses.replace(TRUNK, check_s=0))
    assert health.wake_at(target.health, target.trunk) == float("inf")
    for _ in range(3):
        target.health = health.failed(target.health, target.trunk, "no response", target.now)
    assert target.state is Down
    for _ in range(2):
        target.health = health.answered(target.health, target.trunk, target.now)
    assert target.state is Up


def test_what_is_in_doubt_goes_last_and_nothing_goes_out():
    targets = [Destination(target=Target(UDP, Address(f"198.51.100.{n}", 5060)), uri="sip:x") for n in range(5)]
    ranks = dict(zip(targets, [3, 2, 0, 1, 0], strict=True))
    assert in_order(targets, ranks.__getitem__) == (targets[2], targets[4], targets[3], targets[1], targets[0])
    assert in_order([targets[0], targets[0]], ranks.__getitem__) == (targets[0],)


def test_a_target_that_asks_for_a_pause_gets_it_for_a_minute_at_most():
    target = Watched()
    held = health.held(target.health, 3600, target.now)
    assert health.rank(held, target.now) == 1
    assert health.rank(held, target.now + 61) == 0


# What calls meet


def by_trunk(**options):
    targets = (
        Destination(target=plain(Address("198.51.100.1", 5060)).target, uri="sip:pbx.test", trunk="pbx", **options),
        Destination(target=plain(Address("198.51.100.2", 5060)).target, uri="sip:pbx.test", trunk="pbx", **options),
    )
    story = Story(targets=targets)
    story.anchored()
    return story, story.sent("INVITE")


def tried(story):
    return [(str(one.destination.target.address), one.failure) for one in story.effects if isinstance(one, Tried)]


def test_a_silent_target_is_left_long_before_the_transaction_ends():
    story, first = by_trunk(try_s_max=1.5)
    assert first.request.uri == "sip:desk@pbx.test"
    story.waits(1.4)
    assert story.none(Send)
    story.waits(0.1)
    assert story.the(SendCancel).ref == first.ref
    assert story.sent("INVITE").target.address.host == "198.51.100.2"
    assert tried(story) == [("198.51.100.1:5060", "no response in 1.5 s")]


@pytest.mark.parametrize("status", [503, 500, 480])
def test_configured_codes_are_failures(status):
    story, first = by_trunk(failures=(503, 500, 480))
    story.responds(first, status, headers=[("Retry-After", "20")])
    second = story.sent("INVITE")
    assert next(one for one in story.effects if isinstance(one, Tried)).retry_after == "20"
    story.responds(second, status)
    assert story.the(Reply).status == status


@pytest.mark.parametrize("status", [486, 603, 404, 500])
def test_what_is_not_configured_is_an_answer(status):
    story, first = by_trunk()
    story.responds(first, status)
    assert story.the(Reply).status == status
    assert tried(story) == [("198.51.100.1:5060", None)]


def test_that_it_answers_is_told_once():
    story, first = by_trunk()
    story.responds(first, 100)
    story.responds(first, 180)
    story.responds(first, 200, ANSWER)
    assert tried(story) == [("198.51.100.1:5060", None)]


# With NeTS and phones


class Site:
    """Routes with a trunk to the callee's phone, and from there to the second one's."""

    def __init__(self, world, **options):
        self.world = world
        uris = tuple(f"sip:{phone.endpoint.address}" for phone in (world.callee, world.second))
        quick = {"check_s": 0.2, "suspect_check_s": 0.1, "try_s_max": 1.0, "down_after": 2, "up_after": 2}
        self.trunks = (Trunk("pbx", uris, **{**quick, **options}),)

    def domain(self, name):
        return Domain("desk.test", ("a", "b"), (), ("pbx",)) if name == "desk.test" else None

    def states(self):
        return [view.state for view in self.world.nets.targets()]


def deafen(phone):
    """From now on the phone hears nothing: neither checks nor calls."""
    phone.endpoint._hear = lambda heard: None


async def test_calls_go_to_the_first_target_and_to_the_next_while_it_is_down():
    async with open_world() as world:
        site = Site(world)
        world.route(site)
        await until(lambda: site.states() == [TrunkState.UP, TrunkState.UP])
        mine, _ = await world.connect()
        deafen(world.callee)
        await until(lambda: site.states() == [TrunkState.DOWN, TrunkState.UP])
        second = world.caller.call(world.nets.address)
        with trio.fail_after(5):
            await world.second.rings.receive()
            await second.answered.wait()
        told = world.nets.explain(second.invite.call_id)
        assert not [event for event in told["events"] if event["what"] == "passed over"], "known beforehand"
        assert world.nets.calls(), "the call by the target that is down goes on"
        del world.callee.endpoint._hear
        await until(lambda: site.states() == [TrunkState.UP, TrunkState.UP])
        third = world.caller.call(world.nets.address)
        await world.callee.rings.receive()
        await third.answered.wait()
        for call in (mine, second, third):
            call.bye()
        await world.empties()


async def test_a_call_meets_the_silence_before_any_check_does():
    async with open_world() as world:
        site = Site(world, check_s=1000)
        world.route(site)
        await until(lambda: site.states() == [TrunkState.UP, TrunkState.UP])
        deafen(world.callee)
        mine = world.caller.call(world.nets.address)
        await world.second.rings.receive()
        await mine.answered.wait()
        await until(lambda: site.states()[0] in {TrunkState.SUSPECT, TrunkState.DOWN})
        mine.bye()
        await until(lambda: not any(call.phase.__class__.__name__ == "Answered" for call in world.nets.calls()))


async def test_calls_end_with_their_trunk_where_that_is_wanted():
    async with open_world() as world:
        site = Site(world, when_down=WhenDown.END)
        world.route(site)
        await until(lambda: site.states() == [TrunkState.UP, TrunkState.UP])
        mine, _ = await world.connect()
        deafen(world.callee)
        await mine.over.wait()
        assert "Trunk pbx is down" in mine.why


async def test_a_target_that_answers_503_is_down_and_one_that_answers_404_is_not():
    async with open_world() as world:
        site = Site(world)

        def answer_with(phone, status):
            before = phone._heard

            def heard(event):
                if isinstance(event, Incoming) and event.request.method == "OPTIONS":
                    phone.endpoint.respond(event.transaction, event.request.response(status, to_tag="x"))
                else:
                    before(event)

            phone._heard = heard

        answer_with(world.callee, 503)
        answer_with(world.second, 404)
        world.route(site)
        await until(lambda: site.states() == [TrunkState.DOWN, TrunkState.UP])
        assert world.nets.targets()[0].why == "answers 503"


async def test_a_trunk_that_leads_nowhere_is_a_503():
    async with open_world() as world:
        site = Site(world)
        site.trunks = (Trunk("pbx", ("sip:no-such-host.invalid:5060",), check_s=0),)
        world.route(site)
        mine = world.caller.call(world.nets.address)
        await mine.refused.wait()
        assert isinstance(mine.final, Response)
        assert (mine.final.status, mine.final.headers.get("Retry-After")) == (503, "5")


async def test_a_call_that_was_set_up_by_the_trunk_ends_as_any_other():
    async with open_world() as world:
        world.route(Site(world))
        mine, theirs = await world.connect()
        assert theirs.invite.uri == f"sip:desk@{world.callee.endpoint.address}"
        theirs.bye()
        await mine.over.wait()
        await world.empties()


async def test_a_name_that_the_dns_tells_nobody_any_more_still_leads_where_it_led(nursery, monkeypatch):
    """What was said is too old to be believed, and nobody answers: it is still the best that there is."""
    monkeypatch.setattr(lines, "RESOLVE_S", 0.1)
    monkeypatch.setattr(watch, "RESOLVE_AGAIN_S", 0.1)
    monkeypatch.setattr(cache, "TTL_S_MIN", 0.05)
    monkeypatch.setattr(cache, "RETRY_S", 0.1)
    server = NameServer("pbx 0 A 127.0.0.1")
    await nursery.start(server.run)
    async with open_world(name_servers=[server.address]) as world:
        site = Site(world)
        site.trunks = (Trunk("pbx", (f"sip:pbx.example.test:{world.callee.endpoint.address.port}",), check_s=0),)
        world.route(site)
        await until(lambda: [view.address for view in world.nets.targets()] != [""])
        server.silent = True
        asked = server.asked.total()
        await until(lambda: server.asked.total() > asked, within=30)
        mine, theirs = await world.connect()
        mine.bye()
        await theirs.over.wait()
    nursery.cancel_scope.cancel()
