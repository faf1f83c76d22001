"""A program of bytes, run against a NeTS; whoever raises has found a bug."""

from __future__ import annotations

import traceback

import trio

from mediaha.model.address import Address
from mediaha.model.media import Fault, MediaRefused, Moved, Stranded
from mediaha.nets.call import wake_at
from mediaha.sip.target import Target
from tests.fuzz.checks import Checks
from tests.fuzz.parties import PLACES, Parties
from tests.fuzz.script import Script
from tests.fuzz.stage import CARRIER, FIRST, LIMITS, PHONE, SECOND, play
from tests.fuzz.wire import Stream

STEPS_MAX = 120
PAUSES = (0.01, 0.3, 0.6, 5.0, 1.1, 33.0, 3.9, 45.0, 92.0)
REACTIONS_MAX = 12
"""To one step: two parties may keep each other busy for ever."""
QUIET_S = 700.0
"""Longer than anything waits for by itself, once nobody says anything."""


class Program:
    """What happens, step by step."""

    def __init__(self, stage, data: bytes) -> None:
        self.stage = stage
        self.script = Script(data)
        self.parties = Parties(stage)
        self.checks = Checks(stage)
        self.parties.on_said = self.checks.said
        self.lazy = self.script.byte()
        """What the parties do not do by themselves, one bit each: see ``react``."""
        stage.on_heard = self._heard
        stage.on_taken = self.checks.took

    def _heard(self, data, way, lost) -> None:
        try:
            message = self.checks.heard(data, way)
        except AssertionError:
            self.stage.faults.append(traceback.format_exc())  # raised here it would be NeTS's to survive
        else:
            if message is not None and not lost:
                self.parties.hear(message, way)

    async def run(self) -> None:
        script = self.script
        for _ in range(STEPS_MAX):
            if script.over:
                break
            await script.pick(STEPS)(self)
            await self.stage.settles()
            await self.react()
            self.look()
        await self.end()

    async def react(self) -> None:
        """Parties who know what is proper do it at once: so sequences get somewhere."""
        for _ in range(REACTIONS_MAX):
            acknowledged = not self.lazy & 1 and self.parties.acknowledge_properly()
            if not acknowledged and not self.parties.answer_properly(
                others=not self.lazy & 2, changes=not self.lazy & 4, calls=not self.lazy & 8 and self.lazy & 16
            ):
                return
            await self.stage.settles()

    # Steps

    async def call(self) -> None:
        self.parties.call(self.script, self._place())

    async def answer(self) -> None:
        self.parties.answer(self.script)

    async def ask(self) -> None:
        self.parties.ask(self.script)

    async def acknowledge(self) -> None:
        self.parties.acknowledge(self.script)

    async def cancel(self) -> None:
        self.parties.cancel(self.script)

    async def refuse_ack(self) -> None:
        self.parties.refuse_ack(self.script)

    async def wait(self) -> None:
        await self.stage.waits(self.script.pick(PAUSES))

    async def repeat(self) -> None:
        """What was said before comes once more, from there or from somewhere else, spoilt or not."""
        if self.parties.said:
            message, way = self.script.latest(self.parties.said)
            self.parties.say(message, self._place() if self.script.rarely() else way, self.script, again=True)

    async def babble(self) -> None:
        self.parties.say(self.script.piece(), self._place(), None)

    async def media(self) -> None:
        """The pool does something."""
        pool, script = self.stage.pool, self.script
        calls = [*self.stage.carrier.tables.calls, "nobody's"]
        match script.byte() % 12:
            case 0:
                pool.crash("a")
            case 1:
                pool.revive("a")
            case 2:
                pool.crash("b")
            case 3:
                pool.revive("b")
            case 4 | 7 | 8:
                pool.hold = trio.Event() if pool.hold is None else pool.hold
            case 5 | 9:
                self._release()
            case 6:
                refusals = (None, *(MediaRefused(fault, "refused") for fault in Fault))
                pool.refuse = script.pick(refusals)
            case _:
                call = script.pick(calls)
                moved = Moved(call, "a", "b", None if script.byte() % 2 else b"v=0\r\n", b"v=0\r\n", ())
                notice = moved if script.byte() % 2 else Stranded(call, "a", "dead")
                pool.notify(notice)

    async def network(self) -> None:
        """Somebody's port is closed, or open again; or the network says so."""
        place = self.script.pick((FIRST, SECOND, CARRIER, PLACES[0]))
        match self.script.byte() % 3:
            case 0:
                self.stage.closed ^= {place}
            case 1:
                self.stage.udp.reports(place)
            case _:
                self.stage.closed.clear()

    async def stream(self) -> None:
        """Something happens to a connection."""
        open_now = [one for one in self.stage.streams if not one.over]
        what = self.script.byte() % 6
        if what == 0 or not open_now:
            self.stage.tcp.connected_by(self.script.pick(PLACES)._replace(port=40000 + len(self.stage.streams)))
            return
        one = self.script.latest(open_now)
        match what:
            case 1:
                one.says(self.script.piece())
            case 2:
                one.says(self.script.pick((b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"\r\n\r\n\r\n")))
            case 3:
                one.ends()
            case 4:
                one.reads(one.full)
            case _:
                self._dribble(one)

    def _dribble(self, one: Stream) -> None:
        """Several messages in one segment, or one cut anywhere."""
        said = [message for message, way in self.parties.said if way is one] or [
            message for message, _ in self.parties.said
        ]
        if said:
            joined = b"".join(said[-1 - self.script.byte() % 3 :])
            cut = (self.script.byte() * 256 + self.script.byte()) % (len(joined) + 1)
            one.says(joined[:cut])

    async def site(self) -> None:
        """Where Sue's phones are; whether we are to go down."""
        phones = self.stage.phones
        what = self.script.byte()
        if what > 250:
            self.stage.nets._reception.draining ^= True
        match what % 4:
            case 0 | 3:
                phones.flows.append(Target("UDP", PHONE._replace(port=40000 + len(phones.flows)), "", "udp"))
            case 1:
                phones.flows += [one.flow for one in self.stage.streams[-1:] if one.flow is not None]
            case _:
                phones.flows.clear()
        del phones.flows[6:]

    def _place(self):
        """Where the next thing comes from: an address, or one of the connections."""
        number = self.script.byte()
        open_now = [one for one in self.stage.streams if not one.over]
        if number % 4 == 3 and open_now:
            return open_now[number // 4 % len(open_now)]
        place = PLACES[number // 16 % len(PLACES) if number > 128 else 0]
        return place if place != PHONE else Address(PHONE.host, PHONE.port + number % 4)

    def _release(self) -> None:
        if self.stage.pool.hold is not None:
            self.stage.pool.hold.set()
            self.stage.pool.hold = None

    # What must hold

    def look(self) -> None:
        """After every step."""
        stage = self.stage
        assert not stage.faults, stage.faults[0]
        assert not stage.carrier.counters.get("decisions_failed")
        tables = stage.carrier.tables
        assert len(tables.calls) <= LIMITS.calls_max + LIMITS.transfers_max, "more calls than there may be"
        for held in tables.calls.values():
            # A call that nothing can end any more: neither time, nor the pool's word, nor a party's.
            waits = wake_at(held.call) is not None or held.asking or held.call.open
            assert waits, f"nothing will ever happen to {held.call}"

    async def end(self) -> None:
        """Nobody says anything any more: in the end nothing may be left."""
        stage = self.stage
        self._release()
        stage.pool.refuse = None
        self._end_streams()
        if self.script.byte() % 2:
            stage.nets._reception.draining = True
        await stage.waits(QUIET_S)
        self.look()
        if stage.carrier.tables.calls:
            # Someone has agreed to a very long session; all of these have an end, and look() has seen it.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stage.nets.drain, 0.1)
                await stage.waits(QUIET_S)
            self.look()
        self._end_streams()  # those that we opened meanwhile
        await stage.waits(1.0)
        self._is_empty()

    def _end_streams(self) -> None:
        for one in self.stage.streams:
            one.ends()

    def _is_empty(self) -> None:
        stage = self.stage
        sizes = stage.carrier.tables.sizes()
        assert not any(sizes.values()), f"left of calls: {sizes}"
        assert stage.endpoint.open_transactions == (0, 0), f"transactions are left: {stage.endpoint.open_transactions}"
        layer = stage.endpoint._layer
        for table in (layer._servers._awaiting_ack, layer._servers._merging, layer._clients._unheard,
                      layer._clients._widened):  # fmt: skip
            assert not table, f"left of transactions: {table}"
        assert not stage.tcp.connections, "connections are left"
        assert not stage.pool.calls, f"media is left: {stage.pool.calls}"
        assert stage.endpoint.counters.turned_away or not self.checks.waiting, f"no answer: {self.checks.waiting}"
        assert not self.checks.standing, f"someone is left in a call: {self.checks.standing}"


STEPS = (
    Program.call, *[Program.answer] * 12, Program.call, Program.call, *[Program.ask] * 8, *[Program.acknowledge] * 5,
    Program.cancel, Program.refuse_ack, *[Program.wait] * 3, Program.repeat, Program.repeat, Program.babble,
    Program.media, Program.media, Program.network, Program.stream, Program.stream, Program.site,
)  # fmt: skip


def survives(data: bytes, *, tell: bool = False) -> None:
    """Run a program. Raises AssertionError, or whatever NeTS raises, with all that was said; ``tell`` prints that."""
    programs = []

    async def act(stage):
        programs.append(Program(stage, data))
        await programs[0].run()

    try:
        play(act)
    except ExceptionGroup as group:
        error = _innermost(group)
        error.add_note("\n".join(programs[0].checks.ladder) if programs else "nothing was said")
        raise error from None
    if tell:
        print("\n".join(programs[0].checks.ladder))


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
