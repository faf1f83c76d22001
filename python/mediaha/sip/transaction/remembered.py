"""INVITEs that were refused without a transaction, because there was no room for one.

They are remembered for as long as they may come again: were one taken then, as there is room by now, somebody would be
rung by a caller who has been told that it cannot be.
"""

from __future__ import annotations

from collections import OrderedDict

from mediaha.sip.transaction.events import ServerKey


class Remembered:
    """At most so many, each for so many seconds; the oldest is forgotten first."""

    __slots__ = ("_most", "_seconds", "_until")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._until: OrderedDict[ServerKey, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, key: ServerKey, now: float) -> None:
        """It is refused, now or again."""
        self._until[key] = now + self._seconds
        self._until.move_to_end(key)
        oldest = next(iter(self._until))
        while len(self._until) > self._most or self._until[oldest] <= now:
            del self._until[oldest]
            oldest = next(iter(self._until))

    def has(self, key: ServerKey, now: float) -> bool:
        """Whether it was refused, a short time ago."""
        return self._until.get(key, now) > now
