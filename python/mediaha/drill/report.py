"""What came of a drill: how many calls were lost, and how much audio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The spread of many measurements, in milliseconds; None where there were none."""

    p50: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of ``values``, by nearest rank."""
        return cls(percentile(values, 50), percentile(values, 99), percentile(values, 100))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile, rounded to a tenth; None of nothing."""
    if not values:
        return None
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return round(sorted(values)[rank - 1], 1)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a drill. Times are milliseconds; ``None`` is what was not seen."""

    calls: int
    calls_lost: int
    streams: int
    """Audio streams that were watched: two for each call that talks."""
    fault: str
    target: str
    """The media server that the fault was done to."""
    moved_to: dict[str, int]
    """How many calls each other media server carried at the end."""
    gap_ms: Spread
    """For each stream, the longest time around the fault between two packets heard in a row."""
    lost_packets: int
    detection_ms: float | None
    """From the fault until the failover pool held the server for dead."""
    all_resumed_ms: float | None
    """From the fault until the last interrupted stream was heard again."""
    setup_ms: Spread
    """From INVITE to 200 at the caller."""
    lost_because: dict[str, int]
    """Why calls were lost, with how many."""
    strangers_heard: int
    """Packets that arrived at somebody they were not meant for; anything but 0 is a bug."""
    corrupt_packets: int

    def ok(self) -> bool:
        """No call was lost, and nobody heard what was not meant for them."""
        return self.calls_lost == 0 and self.strangers_heard == 0 and self.corrupt_packets == 0

    def to_json(self) -> bytes:
        """The report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Packets heard right by all endpoints together, in buckets; ``fault_at`` is seconds after the first bucket."""

    bucket_s: float
    counts: tuple[int, ...]
    fault_at: float
