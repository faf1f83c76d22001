"""A call written down as JSON and read back, by this NeTS or another that goes on with it (N3)."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mediaha.nets.call import IDLE, Answered, Call, Idle, Leg, Serving, Stranded
from mediaha.nets.expiry import Expiry, agreed, unaware

FORMAT = 3
"""Raised when a written call can no longer be read by older code."""


class _Written(Struct):
    format: int
    call: Call


def write_down(call: Call) -> bytes:
    """The call as JSON."""
    return msgspec.json.encode(_Written(FORMAT, call))


def read_back(text: bytes) -> Call:
    """A call from ``write_down``, exactly as it was. Raises msgspec.DecodeError when it is no such text."""
    written = msgspec.json.decode(text, type=_Written)
    if written.format != FORMAT:
        raise msgspec.ValidationError(f"a call of format {written.format}, not {FORMAT}")
    return written.call


def adopted(call: Call, now: float) -> Call | None:
    """The call as another NeTS, with another clock and no transactions, can go on with it; None: it cannot.

    What was outstanding is lost with the old instance's transactions. A party that may have missed its SDP is told
    again. Session timers begin anew at ``now``: how much of them had gone is not known here.
    """
    if not isinstance(call.phase, Answered) or call.caller.dialog is None or call.callee.dialog is None:
        return None
    if call.lender:
        return None  # its callee goes on in the call that has lent it
    place = Serving(call.place.server) if isinstance(call.place, Stranded) else call.place
    return replace(
        call, caller=_settled(call.caller, now), callee=_settled(call.callee, now), relay=None, waiting=(), open=(),
        asks=(), place=place, transfer=None,
    )  # fmt: skip


def _settled(leg: Leg, now: float) -> Leg:
    unsure = not isinstance(leg.exchange, Idle)
    pending = leg.pending or (leg.told if unsure else b"")
    # Connections are the old instance's; their numbers mean nothing here.
    met = None if leg.met is None else leg.met._replace(listener="", connection=0)
    expiry = _anew(leg.expiry, now)
    return replace(leg, met=met, flow=None, exchange=IDLE, glares=0, pending=pending, expiry=expiry, away="")


def _anew(expiry: Expiry | None, now: float) -> Expiry | None:
    if expiry is None:
        return None
    interval, ours = expiry.interval, expiry.ours
    return agreed(interval, ours=ours, now=now) if expiry.agreed else unaware(interval, now)
