"""The calls of a drill taken together: phones for them, placing them, which of them hear nothing, ending them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from mediaha.drill.phones import Phones
from mediaha.drill.site import DrillImpossible, SiteUnderDrill
from mediaha.load import Load
from mediaha.sip.endpoint import open_endpoint

PTIME_MS = 20
GAP_MS_MIN = 30
"""Shorter silences between two packets are jitter."""
FLOW_MS_MAX = 200
"""An endpoint that was silent for longer at the end hears nothing: its call is lost."""
END_S_MAX = 35.0

Progress = Callable[[str, int, int], None]
"""Told what is going on, and how many of how many are done."""


@asynccontextmanager
async def open_phones(site: SiteUnderDrill) -> AsyncIterator[tuple[Load, Phones]]:
    """Phones on both sides of the site, and the load that is their audio. Raises DrillImpossible."""
    async with AsyncExitStack() as stack:
        load = Load(ptime_ms=PTIME_MS, gap_ms_min=GAP_MS_MIN)
        stack.callback(load.close)
        try:
            callee = await stack.enter_async_context(open_endpoint(site.callees))
        except OSError as error:
            raise DrillImpossible(
                f"the drill answers calls at {site.callees}, but cannot listen there: {error.strerror}; "
                "end the program that does, or name another target of the domain with --callee"
            ) from error
        caller = await stack.enter_async_context(open_endpoint(site.callees._replace(port=0)))
        nursery = await stack.enter_async_context(trio.open_nursery())
        stack.callback(nursery.cancel_scope.cancel)
        phones = Phones(load, caller, callee, site.nets, site.domain if site.domain != "*" else "drill.invalid")
        nursery.start_soon(phones.serve_callers)
        nursery.start_soon(phones.serve_callees)
        yield load, phones


async def place_calls(phones: Phones, calls: int, rate: float, progress: Progress, *, one_talks_in: int = 1) -> None:
    """Place so many calls, ``rate`` a second, and wait for each. Raises DrillImpossible when none stands.

    Of ``one_talks_in`` calls one has audio.
    """
    began = trio.current_time()
    for number in range(calls):
        await trio.sleep_until(began + number / rate)
        phones.invite(phones.prepare(number, talks=number % one_talks_in == 0), trio.current_time())
        progress("placing calls", number + 1, calls)
    for call in phones.calls:
        await call.settled.wait()
    failed = Counter(call.lost for call in phones.calls if call.lost)
    if len(phones.calls) == sum(failed.values()):
        reasons = "; ".join(failed)
        raise DrillImpossible(f"no call could be placed: {reasons}")


def silent_streams(load: Load, phones: Phones) -> set[int]:
    """Endpoints of calls that stand and hear nothing now."""
    open_gaps = {gap.endpoint for gap in load.gaps(longer_than_ms=FLOW_MS_MAX) if gap.ended is None}
    standing = {leg.audio for call in phones.calls if call.lost is None and not call.ended for leg in call.legs()}
    return open_gaps & standing


async def end_calls(phones: Phones, progress: Progress) -> None:
    """Hang up everywhere, and wait until the site has answered."""
    progress("ending calls", 0, len(phones.calls))
    for call in phones.calls:
        phones.end(call)
    with trio.move_on_after(END_S_MAX):
        for count, call in enumerate(phones.calls, 1):
            await call.over.wait()
            progress("ending calls", count, len(phones.calls))
