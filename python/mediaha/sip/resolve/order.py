"""Which server comes first: priorities, and weights by chance (RFC 2782)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from mediaha.sip.resolve.records import Srv


def in_order(records: Iterable[Srv], chance: Callable[[], float]) -> list[Srv]:
    """The order in which they are tried: by priority, and within one by their weights.

    ``chance`` gives numbers from 0 up to, but not, 1.
    """
    ordered: list[Srv] = []
    for _, group in groupby(sorted(records, key=lambda record: record.priority), lambda record: record.priority):
        # Those without weight come first, so that they have their small chance (RFC 2782, "Weight").
        left = sorted(group, key=lambda record: record.weight)
        while left:
            ordered.append(left.pop(_drawn([record.weight for record in left], chance())))
    return ordered


def _drawn(weights: list[int], chance: float) -> int:
    """The first whose running sum reaches a number drawn from 0 to the sum, both included."""
    wanted = int(chance * (sum(weights) + 1))
    running = 0
    for index, weight in enumerate(weights):
        running += weight
        if running >= wanted:
            return index
    return len(weights) - 1
