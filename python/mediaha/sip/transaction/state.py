"""The states of transactions."""

from __future__ import annotations

from math import inf

from msgspec import Struct


class State(Struct, gc=False):
    """What a transaction knows while it is in this state: times, and messages as they were sent.

    Nothing in it refers back to the transaction. Transactions stay for half a minute after they are over, so there
    are thousands; Python's garbage collector need not look at their states.
    """

    @property
    def wake_at(self) -> float:
        """The next timer of this state; infinity: none."""
        return inf


class Lasting(State, gc=False):
    """A state that ends by itself."""

    until: float

    @property
    def wake_at(self) -> float:
        return self.until
