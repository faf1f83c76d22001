"""People who talk through a site: the drill's phones, whose every packet is checked, and what a story asks of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import trio

from mediaha.drill.calls import open_phones
from mediaha.drill.phones import Call, Phones
from mediaha.drill.site import SiteUnderDrill
from mediaha.load import Load
from mediaha.model.address import Address
from tests.peers.site import Site

T = TypeVar("T")

ENOUGH = 15
"""Packets that an endpoint must hear before it counts as hearing: more than could still be on their way."""
ATTEMPTS = 10
PATIENCE_S = 30.0
"""Nothing here takes so long unless it never happens; the machine may be busy."""


class Town:
    """Callers and callees of one domain of a site."""

    def __init__(self, site: Site, load: Load, phones: Phones) -> None:
        self.site = site
        self.load = load
        self._phones = phones

    @property
    def calls(self) -> list[Call]:
        """All calls that were ever placed."""
        return self._phones.calls

    def standing(self) -> list[Call]:
        """The calls that were neither lost nor ended."""
        return [call for call in self.calls if call.lost is None and not call.ended]

    def dial(self, count: int = 1) -> list[Call]:
        """Place calls and do not wait for them."""
        dialled = [self._phones.prepare(len(self.calls)) for _ in range(count)]
        for call in dialled:
            self._phones.invite(call, trio.current_time())
        return dialled

    async def place(self, count: int, every_s: float = 0.01) -> list[Call]:
        """Place calls one after the other; all of them must come to stand, and be heard."""
        placed = []
        for _ in range(count):
            placed += self.dial()
            await trio.sleep(every_s)
        await self.stand(placed)
        await self.all_hear()
        return placed

    async def place_on(self, name: str, count: int) -> list[Call]:
        """Place calls until so many are on this media server.

        The first of the list may seem late on a busy machine; then the next one is asked too, and may be quicker.
        """
        placed = await self.place(count)
        for _ in range(ATTEMPTS):
            if calls_on(await self.ask(self.site.status)).get(name, 0) >= count:
                return placed
            placed += await self.place(1)
        raise AssertionError(f"never {count} calls on {name}: {calls_on(self.site.status())}")

    async def stand(self, calls: list[Call]) -> list[Call]:
        """Wait until each of these calls has been answered; none may fail."""
        lost = [call.lost for call in await self.settle(calls) if call.lost]
        assert not lost, lost
        return calls

    async def settle(self, calls: list[Call]) -> list[Call]:
        """Wait until each of these calls stands or has failed."""
        with trio.fail_after(PATIENCE_S):
            for call in calls:
                await call.settled.wait()
        return calls

    async def all_hear(self, calls: list[Call] | None = None) -> None:
        """Wait until both ends of every standing call (or of these) have heard the other end from now on."""
        before = {call.number: self._heard(call) for call in calls or self.standing()}

        def deaf() -> list[int]:
            watched = [call for call in self.calls if call.number in before]
            return [
                call.number
                for call in watched
                if call.lost is None
                and any(now < then + ENOUGH for now, then in zip(self._heard(call), before[call.number], strict=True))
            ]

        await self.until("everybody hears", lambda: not deaf(), deaf)

    def _heard(self, call: Call) -> tuple[int, ...]:
        return tuple(self.load.arrivals(leg.audio).received for leg in call.legs())

    def heard(self) -> list[int]:
        """How many packets each end of the standing calls has heard."""
        return [count for call in self.standing() for count in self._heard(call)]

    async def until(self, what: str, true: Callable[[], object], told: Callable[[], object] = lambda: "") -> None:
        """Wait for something that the phones see."""
        with trio.move_on_after(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - it happens in threads and processes that tell nobody
                await trio.sleep(0.01)
            return
        status = await self.ask(self.site.status)
        raise AssertionError(f"never: {what}: {told()}\n{status}\n{self.site.log()[-4000:]}")

    async def ask(self, question: Callable[..., T], *arguments: object) -> T:
        """Ask what takes a while, without keeping the phones from answering."""
        return await trio.to_thread.run_sync(partial(question, *arguments))

    async def site_until(self, true: Callable[[dict], object], what: str) -> dict:
        """Wait for something that the site's status shows."""
        return await self.ask(self.site.wait_until, true, what, PATIENCE_S)

    async def all_on(self, name: str) -> None:
        """Wait until every standing call is on this media server."""
        wanted = {name: len(self.standing())}
        await self.site_until(lambda status: calls_on(status) == wanted, f"these calls and no others: {wanted}")

    def end(self) -> None:
        """All callers hang up."""
        for call in self.calls:
            self._phones.end(call)

    async def hang_up(self) -> None:
        """All callers hang up, and afterwards the site must have forgotten the calls."""
        self.end()
        with trio.fail_after(PATIENCE_S):
            for call in self.calls:
                await call.over.wait()
        await self.ask(self.site.settled)

    def nothing_lost(self) -> None:
        """No call was ended but by its caller, and nobody heard what was not meant for them."""
        lost = {call.number: call.lost for call in self.calls if call.lost}
        assert not lost, f"{lost}\n{self.site.log()[-4000:]}"
        self.nobody_overheard()

    def nobody_overheard(self) -> None:
        """Every packet that was heard came from the right one, unharmed."""
        heard = self.load.arrivals()
        assert (heard.misdirected, heard.corrupt) == (0, 0)


def calls_on(status: dict) -> dict[str, int]:
    """How many calls each media server has, by the site's status; those without any are left out."""
    return {server["name"]: server["calls"] for server in status["servers"] if server["calls"]}


def sessions_on(status: dict) -> dict[str, int | None]:
    """How many calls each media server says it has itself; None when it does not answer."""
    return {server["name"]: server["sessions"] for server in status["servers"]}


@asynccontextmanager
async def open_town(site: Site, domain: str = "*", target_port: int | None = None) -> AsyncIterator[Town]:
    """Phones on both sides of ``site``; when the story has gone well, they hang up and nothing may be left."""
    under = SiteUnderDrill(
        Address(site.host, site.port), Address(site.target_host, target_port or site.target_port), domain, site.control
    )
    fault = None
    async with open_phones(under) as (load, phones):
        town = Town(site, load, phones)
        try:
            yield town
            if site.process.poll() is None:
                await town.hang_up()
            town.nobody_overheard()
        except Exception as error:
            fault = error
    if fault is not None:
        raise fault
