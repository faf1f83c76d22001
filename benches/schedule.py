"""Which media server fails when, and how: decided beforehand from a seed, so that a run can be done again."""

from __future__ import annotations

import random
from collections.abc import Sequence, Set
from dataclasses import dataclass

from mediaha.drill.faults import Fault

FIRST_S = 4.0
PAUSE_S = (5.0, 8.0)
"""Between two strokes: a killed server is back and trusted again after some three seconds."""
DOUBLE_S = (0.05, 0.5)
"""A second server fails so soon after the first: while its calls are being moved."""
DOUBLES = 0.3
HANG_S = (1.0, 3.0)
QUIET_S = 6.0
"""At the end nothing fails, so that what comes back can be seen."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One fault, done to the server that has most calls then."""

    at_s: float
    fault: Fault
    lasts_s: float
    """How long it hangs; one that is killed or lost is followed by another process."""


def strokes(seed: int, run_s: float) -> list[Stroke]:
    """The faults of a run of so many seconds, in order of time."""
    chance = random.Random(seed)
    drawn = []
    at_s = FIRST_S
    while at_s < run_s - QUIET_S:
        drawn.append(_stroke(chance, at_s))
        if chance.random() < DOUBLES:
            drawn.append(_stroke(chance, at_s + chance.uniform(*DOUBLE_S)))
        at_s += chance.uniform(*PAUSE_S)
    return drawn


def victim(calls: Sequence[tuple[str, int]], down: Set[str]) -> str | None:
    """The server with most calls of those that are up, if another is up besides; of equals the first listed."""
    up = [(name, count) for name, count in calls if name not in down]
    if len(up) < 2:
        return None
    return max(up, key=lambda server: server[1])[0]


def _stroke(chance: random.Random, at_s: float) -> Stroke:
    fault = chance.choice([Fault.KILL, Fault.LOSE, Fault.HANG])
    lasts_s = chance.uniform(*HANG_S) if fault is Fault.HANG else 0.0
    return Stroke(round(at_s, 3), fault, round(lasts_s, 3))
