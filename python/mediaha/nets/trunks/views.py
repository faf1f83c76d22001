"""Targets of trunks as a person is shown them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mediaha.model.trunk import TargetView, TrunkState
from mediaha.nets.trunks.health import State, Suspect, Up
from mediaha.nets.trunks.lines import OWN, Line


def views(line: Line) -> Iterable[TargetView]:
    """What one configured target stands for, and how each of these places is."""
    if line.trunk.name == OWN and line.found:
        return  # nobody checks them: there is nothing to tell
    if not line.found:
        yield TargetView(line.trunk.name, line.uri, "", TrunkState.UNKNOWN, line.why, time.monotonic())
    for target in line.found:
        state = line.health[target].state
        yield TargetView(line.trunk.name, line.uri, str(target), word(state), why(state), state.since)


def word(state: State) -> TrunkState:
    """What is believed of a target, in one word."""
    if isinstance(state, Up):
        return TrunkState.UP if state.heard else TrunkState.UNKNOWN
    return TrunkState.SUSPECT if isinstance(state, Suspect) else TrunkState.DOWN


def why(state: State) -> str:
    """Why that is believed; empty: nothing is wrong."""
    return "" if isinstance(state, Up) else state.why
