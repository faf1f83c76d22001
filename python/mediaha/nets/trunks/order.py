"""Which target is tried first: the order of the lists, with what is in doubt at the end. Decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mediaha.nets.destination import Destination

DESTINATIONS_MAX = 8
"""A call tries no more than so many: each may take seconds."""


def in_order(listed: Iterable[Destination], rank: Callable[[Destination], int]) -> tuple[Destination, ...]:
    """The destinations as they are tried. Those of one rank stay in their listed order; each target is tried once."""
    once: dict[object, Destination] = {}
    for destination in listed:
        once.setdefault(destination.target, destination)
    return tuple(sorted(once.values(), key=rank)[:DESTINATIONS_MAX])
