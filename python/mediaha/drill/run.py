"""The drill itself: calls are placed, a fault is done to a media server, and what was lost is counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from mediaha.drill.calls import (
    PTIME_MS,
    Progress,
    end_calls,
    open_phones,
    place_calls,
    silent_streams,
)
from mediaha.drill.faults import Fault, Victim, check_possible, done_to
from mediaha.drill.phones import Call, Phones
from mediaha.drill.report import Report, Spread, Timeline
from mediaha.drill.site import SiteUnderDrill
from mediaha.load import Load
from mediaha.ops.status import NodeStatus


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done."""

    calls: int = 50
    fault: Fault = Fault.KILL
    target: str | None = None
    """The media server to hurt; the first of the domain's list when None."""
    rate: float = 50.0
    """Calls placed a second."""
    one_talks_in: int = 1
    """Of so many calls one has audio: what all would send may be more than the phones' machine has time for."""
    before_s: float = 2.0
    """Talking before the fault."""
    resume_s_max: float = 15.0
    """How long the last stream may take to come back before its call counts as lost."""
    after_s: float = 1.0
    """Talking after the last stream came back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report, and what the pictures are made of."""

    report: Report
    gaps_ms: tuple[float, ...]
    timeline: Timeline
    fault_at: float
    """Seconds of this machine's monotonic clock, for who has watched something else meanwhile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed around the fault, before the calls were ended."""

    victim: Victim
    fault_at: float
    """Monotonic, as all times of the load and the pool."""
    status: NodeStatus
    gaps: dict[int, tuple[float, float | None]]
    """By endpoint: the longest gap in ms, and when it ended."""
    resumed_at: list[float]
    """When each stream that the fault interrupted was heard again."""
    silent: set[int]
    """Endpoints that hear nothing."""


async def run(plan: Plan, site: SiteUnderDrill, progress: Progress) -> Outcome:
    """Do the drill. Raises DrillImpossible, FaultImpossible, NotServing before any harm is done."""
    victim = await site.victim(plan.target)
    check_possible(plan.fault, victim)
    async with open_phones(site) as (load, phones):
        await place_calls(phones, plan.calls, plan.rate, progress, one_talks_in=plan.one_talks_in)
        progress("talking", 0, 1)
        await trio.sleep(plan.before_s)
        async with _broken(plan.fault, victim, site) as fault_at:
            await _wait_until_resumed(plan, load, phones, fault_at, progress)
            await trio.sleep(plan.after_s)
            gaps = _gaps(load, phones, fault_at)
            resumed_at = _resumed_at(load, gaps.keys(), fault_at)
            seen = Seen(victim, fault_at, await site.status(), gaps, resumed_at, silent_streams(load, phones))
            timeline = _timeline(load, fault_at, plan)
            await end_calls(phones, progress)
        gaps_ms = tuple(gap for gap, _ in gaps.values())
        return Outcome(_report(plan, load, phones, seen), gaps_ms, timeline, fault_at)


@asynccontextmanager
async def _broken(fault: Fault, victim: Victim, site: SiteUnderDrill) -> AsyncIterator[float]:
    """While the fault lasts; gives when it began. What would outlast the drill is undone, whatever came of it."""
    if fault is Fault.DRAIN:
        began = time.monotonic()
        try:
            await site.tell("drain", server=victim.name)
            yield began
        finally:
            with trio.CancelScope(shield=True):
                await site.tell("drain", server=victim.name, draining=False)
        return
    began = time.monotonic()
    if fault is Fault.LOSE:
        await site.tell("lose", server=victim.name)
    with done_to(fault, victim):
        yield began


async def _wait_until_resumed(plan: Plan, load: Load, phones: Phones, fault_at: float, progress: Progress) -> None:
    """Until every stream that fell silent is heard again, and for at least a second, since silence takes time."""
    deadline = fault_at + plan.resume_s_max
    streams = 2 * sum(call.talks for call in phones.calls)
    while (now := time.monotonic()) < deadline:
        await trio.sleep(0.1)
        silent = len(silent_streams(load, phones))
        progress("waiting for audio", streams - silent, streams)
        if not silent and now > fault_at + 1.0:
            return


def _gaps(load: Load, phones: Phones, fault_at: float) -> dict[int, tuple[float, float | None]]:
    """For each stream of a standing call its longest gap after the fault in ms, and when it ended."""
    standing = (call for call in phones.calls if call.lost is None and call.talks)
    longest: dict[int, tuple[float, float | None]] = {
        leg.audio: (float(PTIME_MS), None) for call in standing for leg in call.legs()
    }
    now = time.monotonic()
    for gap in load.gaps(after=fault_at):
        lasted_ms = ((gap.ended or now) - gap.began) * 1000
        if gap.endpoint in longest and lasted_ms > longest[gap.endpoint][0]:
            longest[gap.endpoint] = (lasted_ms, gap.ended)
    return longest


def _resumed_at(load: Load, endpoints: Collection[int], fault_at: float) -> list[float]:
    """When the streams that fell silent with the fault were heard again. A gap that began later has another cause."""
    latest = fault_at + 2 * PTIME_MS / 1000
    gaps = [gap for gap in load.gaps(after=fault_at) if gap.endpoint in endpoints and gap.began <= latest]
    return [gap.ended for gap in gaps if gap.ended is not None]


def _timeline(load: Load, fault_at: float, plan: Plan) -> Timeline:
    began, bucket_s, counts = load.timeline(time.monotonic() - fault_at + min(plan.before_s, 2.0))
    return Timeline(bucket_s, tuple(counts), fault_at - began)


def _report(plan: Plan, load: Load, phones: Phones, seen: Seen) -> Report:
    for call in phones.calls:
        _mark_if_lost(call, seen.silent)
    lost = Counter(call.lost for call in phones.calls if call.lost is not None)
    total = load.arrivals()
    setups = [(c.answered_at - c.invited_at) * 1000 for c in phones.calls if c.answered_at is not None]
    return Report(
        calls=len(phones.calls),
        calls_lost=sum(lost.values()),
        streams=2 * sum(call.talks for call in phones.calls),
        fault=str(plan.fault),
        target=seen.victim.name,
        moved_to=_moved_to(seen),
        gap_ms=Spread.of([gap for gap, _ in seen.gaps.values()]),
        lost_packets=total.lost,
        detection_ms=_detection_ms(seen),
        all_resumed_ms=_all_resumed_ms(seen),
        setup_ms=Spread.of(setups),
        lost_because={reason: count for reason, count in lost.items() if reason},
        strangers_heard=total.misdirected,
        corrupt_packets=total.corrupt,
    )


def _mark_if_lost(call: Call, silent: set[int]) -> None:
    if call.lost is None and any(leg.audio in silent for leg in call.legs()):
        call.lost = "its audio did not come back"


def _moved_to(seen: Seen) -> dict[str, int]:
    return {
        server.name: server.calls for server in seen.status.servers if server.name != seen.victim.name and server.calls
    }


def _all_resumed_ms(seen: Seen) -> float | None:
    if seen.silent or not seen.resumed_at:
        return None
    return round((max(seen.resumed_at) - seen.fault_at) * 1000, 1)


def _detection_ms(seen: Seen) -> float | None:
    """When the pool first held the victim for dead after the fault, by the site's record of changes."""
    for change in seen.status.changes:
        if change.server == seen.victim.name and change.at >= seen.fault_at and change.state in ("dead", "suspect"):
            return round((change.at - seen.fault_at) * 1000, 1)
    return None
