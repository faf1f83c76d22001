"""When each transaction wants to be woken: a heap that forgets lazily.

A transaction moves its deadline often (every response does) and is woken rarely, so a deadline that moves later
costs nothing: the entry stays, and is put back when it comes up. An earlier one adds an entry; the old is stale.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from math import inf
from typing import Generic, Protocol, TypeVar


class Sleeper(Protocol):
    """What can be woken. ``queued_at`` belongs to the schedule and starts at infinity."""

    queued_at: float

    @property
    def wake_at(self) -> float:
        """The next deadline in seconds; infinity when there is none (any more)."""
        ...


S = TypeVar("S", bound=Sleeper)

_COMPACT_MIN = 4096


class Schedule(Generic[S]):
    """The deadlines of any number of sleepers."""

    __slots__ = ("_compact_at", "_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, S]] = []
        self._count = 0
        self._compact_at = _COMPACT_MIN

    def note(self, sleeper: S) -> None:
        """To be called after anything that may have changed ``sleeper.wake_at``."""
        wake_at = sleeper.wake_at
        if wake_at < sleeper.queued_at:
            sleeper.queued_at = wake_at
            self._count += 1  # breaks ties, so that sleepers are never compared
            heapq.heappush(self._heap, (wake_at, self._count, sleeper))
            if len(self._heap) > self._compact_at:
                self._compact()

    def due(self, now: float) -> Iterator[S]:
        """Those whose deadline has come, earliest first. The caller notes each again when it has been woken."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, sleeper = heapq.heappop(heap)
            if at != sleeper.queued_at:
                continue
            sleeper.queued_at = inf
            if sleeper.wake_at <= now:
                yield sleeper
            else:
                self.note(sleeper)

    def wake_at(self) -> float:
        """When `due` may next have something; infinity when nothing is scheduled. Sometimes too early."""
        return self._heap[0][0] if self._heap else inf

    def __len__(self) -> int:
        return len(self._heap)

    def _compact(self) -> None:
        # Entries of finished transactions stay until their time; under a flood they must not pile up.
        self._heap = [entry for entry in self._heap if entry[0] == entry[2].queued_at and entry[2].wake_at != inf]
        heapq.heapify(self._heap)
        self._compact_at = max(_COMPACT_MIN, 2 * len(self._heap))
