"""A site under calls while its media servers are killed and hung after a schedule, and what everybody heard of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from benches.schedule import Stroke, victim
from mediaha.drill.calls import GAP_MS_MIN, PTIME_MS, end_calls, open_phones, place_calls, silent_streams
from mediaha.drill.faults import Fault, Victim, done_to
from mediaha.drill.phones import Call, Phones
from mediaha.drill.site import SiteUnderDrill
from mediaha.load import Load
from mediaha.model.address import Address
from mediaha.ops.status import NodeStatus

PLACE_RATE = 50.0
TALK_S = 2.0
"""Before the clock of the schedule starts."""
JUST_STRUCK_S = 1.0
"""So long a server that was struck may still be thought usable."""
TIMELINE_S_MORE = 2.0
WATCH_S = 0.5
"""How often it is looked whether somebody hears a stranger."""
RESUME_S_MAX = 15.0
LEFT_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Struck:
    """A stroke that was done. Times are seconds from the start of the schedule."""

    at_s: float
    fault: str
    server: str
    ended_s: float | None
    """When a hung server was let go on."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A silence of one stream."""

    stream: int
    began_s: float
    lasted_ms: float


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody heard packets that were not theirs."""

    call: int
    side: str
    packets: int
    noticed_s: float
    """When the count was seen to have grown last."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run."""

    struck: Sequence[Struck]
    skipped: int
    """Strokes left out because only one server was up."""
    placed: int
    lost: dict[str, int]
    """Calls that stood and ended before their time, by reason."""
    refused: dict[str, int]
    """Calls that were never set up, by reason."""
    setups_ms: Sequence[float]
    """Of the calls placed while nodes failed."""
    streams: int
    gaps: Sequence[Gap]
    wrong: dict[str, int]
    strangers: Sequence[Stranger]
    generator_late_ms: float
    began_s: float
    """Of the first bucket."""
    bucket_s: float
    heard: Sequence[int]
    sent: int
    """Packets sent in a bucket: one of each stream, as a bucket is as long as the time between two packets."""
    sessions_left: int
    """On all media servers together, after all calls were ended."""


@dataclass(slots=True)
class _Story:
    began: float
    struck: list[Struck] = field(default_factory=list)
    skipped: int = 0
    struck_lately: set[str] = field(default_factory=set)
    ended: dict[int, float] = field(default_factory=dict)
    """When calls were ended on purpose, by the endpoints of their audio."""
    strangers: dict[int, tuple[int, float]] = field(default_factory=dict)
    """By endpoint: packets of strangers so far, and when more were seen last."""


async def run(site: SiteUnderDrill, schedule: Sequence[Stroke], calls: int, lasts_s: float, churn_rate: float) -> Run:
    """Hold ``calls`` calls for so long; ``churn_rate`` times a second the oldest ends and a new one is placed."""
    async with open_phones(site) as (load, phones):
        await place_calls(phones, calls, PLACE_RATE, lambda *_: None)
        await trio.sleep(TALK_S)
        story = _Story(time.monotonic())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_strike_all, nursery, site, schedule, story)
            nursery.start_soon(_watch_for_strangers, load, phones, story)
            await _churn(phones, story, lasts_s, churn_rate)
            nursery.cancel_scope.cancel()
        await _until_all_hear(load, phones)
        seen = _look(load, phones, story, calls)
        await end_calls(phones, lambda *_: None)
    return Run(**seen, sessions_left=await _sessions_left(site))


async def _strike_all(nursery: trio.Nursery, site: SiteUnderDrill, schedule: Sequence[Stroke], story: _Story) -> None:
    for stroke in schedule:
        await trio.sleep(max(0.0, story.began + stroke.at_s - time.monotonic()))
        status = await site.status()
        name = victim([(server.name, server.calls or 0) for server in status.servers], _down(status, story))
        if name is None:
            story.skipped += 1
            continue
        story.struck_lately.add(name)
        nursery.start_soon(_strike, stroke, _victim(status, name), site, story)


async def _strike(stroke: Stroke, victim: Victim, site: SiteUnderDrill, story: _Story) -> None:
    at = time.monotonic()
    if stroke.fault is Fault.LOSE:
        await site.tell("lose", server=victim.name)
    with done_to(stroke.fault, victim):
        await trio.sleep(stroke.lasts_s)
    ended = time.monotonic() if stroke.fault is Fault.HANG else None
    ended_s = ended - story.began if ended is not None else None
    story.struck.append(Struck(at - story.began, str(stroke.fault), victim.name, ended_s))
    await trio.sleep(JUST_STRUCK_S)
    story.struck_lately.discard(victim.name)


def _down(status: NodeStatus, story: _Story) -> set[str]:
    return {server.name for server in status.servers if server.state != "usable"} | story.struck_lately


def _victim(status: NodeStatus, name: str) -> Victim:
    server = next(server for server in status.servers if server.name == name)
    return Victim(name, server.pid, Address.parse(server.ng), server.ports)


async def _watch_for_strangers(load: Load, phones: Phones, story: _Story) -> None:
    while True:
        _note_strangers(load, phones, story)
        await trio.sleep(WATCH_S)


def _note_strangers(load: Load, phones: Phones, story: _Story) -> None:
    known = sum(packets for packets, _ in story.strangers.values())
    if load.arrivals().misdirected == known:
        return
    for leg in (leg for call in phones.calls for leg in call.legs()):
        packets = load.arrivals(leg.audio).misdirected
        if packets != story.strangers.get(leg.audio, (0, 0.0))[0]:
            story.strangers[leg.audio] = packets, time.monotonic() - story.began


def _strangers(phones: Phones, story: _Story) -> list[Stranger]:
    return [
        Stranger(call.number, side, *story.strangers[leg.audio])
        for call in phones.calls
        for side, leg in (("caller", call.caller), ("callee", call.callee))
        if leg.audio in story.strangers
    ]


async def _churn(phones: Phones, story: _Story, lasts_s: float, rate: float) -> None:
    began = trio.current_time()
    standing = len(phones.calls)
    for number in range(int(lasts_s * rate)):
        await trio.sleep_until(began + number / rate)
        oldest = phones.calls[number]
        story.ended.update((leg.audio, time.monotonic()) for leg in oldest.legs())
        phones.end(oldest)
        phones.invite(phones.prepare(standing + number), trio.current_time())
    await trio.sleep_until(began + lasts_s)


async def _until_all_hear(load: Load, phones: Phones) -> None:
    deadline = time.monotonic() + RESUME_S_MAX
    while time.monotonic() < deadline:
        await trio.sleep(0.1)
        if not silent_streams(load, phones) and all(call.settled.is_set() for call in phones.calls):
            return


def _look(load: Load, phones: Phones, story: _Story, standing: int) -> dict[str, object]:
    """All of a Run but what is left after the end."""
    now = time.monotonic()
    _note_strangers(load, phones, story)
    silent = silent_streams(load, phones)
    for call in phones.calls:
        if call.lost is None and silent & {leg.audio for leg in call.legs()}:
            call.lost = "its audio did not come back"
    answered = [call for call in phones.calls if call.answered_at is not None]
    total = load.arrivals()
    began, bucket_s, heard = load.timeline(now - story.began + TIMELINE_S_MORE)
    return {
        "struck": sorted(story.struck, key=lambda struck: struck.at_s),
        "skipped": story.skipped,
        "placed": len(phones.calls),
        "lost": _reasons(answered),
        "refused": _reasons([call for call in phones.calls if call.answered_at is None]),
        "setups_ms": [
            (call.answered_at - call.invited_at) * 1000
            for call in phones.calls[standing:]
            if call.answered_at is not None
        ],
        "streams": 2 * len(answered),
        "gaps": [
            Gap(gap.endpoint, gap.began - story.began, ((gap.ended or now) - gap.began) * 1000)
            for gap in load.gaps(longer_than_ms=GAP_MS_MIN, after=story.began)
            # A straggler may be heard after the end, and nothing after it.
            if gap.began < story.ended.get(gap.endpoint, now) - PTIME_MS / 1000
        ],
        "wrong": {"misdirected": total.misdirected, "corrupt": total.corrupt, "refused": total.refused},
        "strangers": _strangers(phones, story),
        "generator_late_ms": load.lateness_ms_max,
        "began_s": began - story.began,
        "bucket_s": bucket_s,
        # The newest bucket is not over yet.
        "heard": heard[:-1],
        "sent": 2 * standing,
    }


def _reasons(calls: Sequence[Call]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for call in calls:
        if call.lost is not None:
            reasons[call.lost] = reasons.get(call.lost, 0) + 1
    return reasons


async def _sessions_left(site: SiteUnderDrill) -> int:
    """After a while for what was owed to servers that had failed."""
    deadline = time.monotonic() + LEFT_S_MAX
    while True:
        status = await site.status()
        left = sum(server.sessions or 0 for server in status.servers)
        if not left or time.monotonic() > deadline:
            return left
        await trio.sleep(0.1)


def lost_audio_ms(run: Run) -> list[float]:
    """For each stream that was interrupted, the audio that it missed in the whole run."""
    missed: dict[int, float] = {}
    for gap in run.gaps:
        missed[gap.stream] = missed.get(gap.stream, 0.0) + gap.lasted_ms - PTIME_MS
    return list(missed.values())
