"""Whoever looks into a call sees the messages of all its legs, and costs nothing before and after."""

from __future__ import annotations

import pytest
import trio

from mediaha.model.address import Address
from mediaha.nets.tracing import LEASE_S, TRACES_MAX, Tracer, TraceRefused
from mediaha.sip.target import UDP, Target
from mediaha.sip.trace import Traced, call_id_untrusted
from tests.nets.world import open_world, until

HERE, THERE = Address("192.0.2.1", 5060), Target(UDP, Address("192.0.2.2", 5062))


def message(call_id, said="x"):
    return Traced(1.0, True, f"INVITE sip:{said} SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n".encode(), HERE, THERE)


def ids(taken):
    return [call_id_untrusted(traced.message) for traced in taken[0]]


def test_a_call_is_found_by_either_leg_and_both_are_seen():
    names = ("leg-a", "leg-b", "nets-1")
    tracer = Tracer(lambda name: ("leg-a", "leg-b") if name in names else ())
    for name in names:
        assert tracer.begin(name, name, 60, now=0)
    for call_id in ("leg-a", "other", "leg-b"):
        tracer.note(message(call_id))
    for name in names:
        assert ids(tracer.take(name, now=1)) == ["leg-a", "leg-b"]
        assert ids(tracer.take(name, now=1)) == [], "what was taken is not kept"


def test_a_number_is_waited_for_and_brings_its_call_along():
    legs = {}
    tracer = Tracer(lambda name: legs.get(name, ()))
    assert not tracer.begin("t", "4711", 60, now=0)
    tracer.note(message("before"))
    tracer.note(message("leg-a", "4711@pbx.test"))
    legs["leg-b"] = ["leg-a", "leg-b"]
    tracer.note(message("leg-b"))
    tracer.note(message("leg-a"))
    assert ids(tracer.take("t", now=1)) == ["leg-a", "leg-b", "leg-a"]


def test_a_trace_ends_when_its_time_is_up_when_nobody_asks_and_when_it_is_ended():
    tracer = Tracer(lambda name: ())
    tracer.begin("timed", "abc", 5, now=0)
    tracer.begin("forgotten", "abc", 1000, now=0)
    tracer.begin("ended", "abc", 1000, now=0)
    tracer.end("ended")
    assert tracer.take("ended", now=1) is None
    assert tracer.take("timed", now=4) is not None
    assert tracer.take("timed", now=5) is None
    assert tracer.take("forgotten", now=LEASE_S) is None
    assert not tracer


def test_traces_are_few_and_a_text_that_is_everywhere_is_refused():
    tracer = Tracer(lambda name: ())
    with pytest.raises(TraceRefused, match="give at least 3 characters"):
        tracer.begin("t", "1", 60, now=0)
    for number in range(TRACES_MAX):
        tracer.begin(str(number), "abc", 60, now=0)
    with pytest.raises(TraceRefused, match="traces are under way"):
        tracer.begin("one more", "abc", 60, now=0)
    tracer.begin("later", "abc", 60, now=60)


async def test_a_real_call_is_seen_from_its_first_message_to_its_last_on_both_legs():
    async with open_world() as world:
        assert not world.nets.trace("t", "desk.test", 60)
        mine, theirs = await world.connect()
        seen = world.nets.traced("t")[0]
        assert {call_id_untrusted(one.message) for one in seen} == {mine.invite.call_id, theirs.invite.call_id}
        assert [one.message.partition(b" ")[0] for one in seen].count(b"INVITE") == 2
        assert world.nets.trace("other leg", theirs.invite.call_id, 60)
        mine.bye()
        with trio.fail_after(10):
            await theirs.over.wait()
        await world.empties()
        assert not world.nets.under_way(mine.invite.call_id)
        methods = [one.message.partition(b" ")[0] for one in world.nets.traced("other leg")[0]]
        assert methods.count(b"BYE") == 2
        world.nets.untrace("t")
        world.nets.untrace("other leg")
        mine = world.caller.call(world.front)
        await mine.answered.wait()
        await until(lambda: world.nets._endpoint.tap is None)
        mine.bye()
        await world.empties()
