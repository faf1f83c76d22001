"""What most of mediaha is made of: values that never change."""

from __future__ import annotations

from msgspec import Struct


class Value(Struct, frozen=True, gc=False):
    """A value whose fields hold text, numbers, and other values.

    A value is made before anything can refer to it, so it is never part of a cycle, and Python's garbage collector
    need not look at it: there are dozens of values for each call, and the search through them stopped all calls for a
    third of a second. Do not put anything into a field that could come to refer to the value itself.
    """
