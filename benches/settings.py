"""How long and how much is measured. Every value has an environment variable, ``MEDIAHA_BENCH_`` and its name."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

PREFIX = "MEDIAHA_BENCH_"
Value = int | float | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults make all of ``make bench`` take some eight minutes."""

    out: str = "build/bench"
    cores: tuple[int, ...] = (0, 1)
    """Where what is measured runs, and where its load runs."""
    priority: int = 20
    """Of relays and generator, in real time, which keeps other programs off their cores. 0: they have none, as where
    it is not allowed."""
    windows: int = 3
    """Every figure is the median of so many."""
    window_s: float = 3.0
    warm_up_s: float = 4.0
    """Longer than parties may still be learnt: from then on a call is as it is for the rest of its life."""
    forwarding_calls: tuple[int, ...] = (100, 500, 1000)
    kernel_calls: tuple[int, ...] = (100, 500)
    """Over a cable to another host, by each datapath."""
    kernel_dead_s: float = 3.0
    """How long the process is missing whose flows the kernel goes on to forward."""
    capacity_calls: tuple[int, ...] = (600, 800, 900, 1000, 1100, 1200, 1400, 1600, 1800, 2000, 2200)
    """Calls on one core, tried from left to right until packets are lost or late."""
    control_calls: int = 1500
    """Calls set up in one go, before they are deleted and the next go begins."""
    memory_calls: int = 2000
    adopted_calls: int = 10000
    """Taken over from another media server. Each takes four ports."""
    succeeded_calls: int = 10000
    """Adopted by the next process of the same server."""
    killed_calls: int = 200
    """That talk while the process of their server is killed."""
    nets_rates: tuple[int, ...] = (100, 200, 300, 400, 500, 600, 700, 750, 800, 900, 1000, 1100, 1200)
    """Calls a second, tried from left to right until one does not hold."""
    sippy_rates: tuple[int, ...] = (100, 150, 200, 225, 250, 275, 300, 350)
    sippy_version: str = "2.5.0"
    proxy_rates: tuple[int, ...] = (200, 500)
    """Of Kamailio, which holds more than its load can place here."""
    nets_step_s: float = 5.0
    told_calls: int = 1000
    """Calls of the media server whose loss all parties are told of."""
    idle_calls: int = 900
    """So many have room on one media server of a standalone site."""
    moving_calls: tuple[int, ...] = (200, 1000)
    moving_rate: float = 100.0
    """Calls placed a second before the media server is killed."""
    nodes_s: float = 60.0
    nodes_calls: int = 200
    nodes_servers: int = 3
    nodes_seed: int = 1


def from_environment(environment: dict[str, str] | None = None) -> Settings:
    """The settings of this run. Raises SystemExit with the variable's name when a value cannot be read."""
    environment = dict(os.environ) if environment is None else environment
    changed = {}
    for field in fields(Settings):
        name = PREFIX + field.name.upper()
        if name in environment:
            changed[field.name] = _read(name, environment[name], field.default)
    return Settings(**changed)


def _read(name: str, written: str, default: object) -> Value:
    try:
        match default:
            case tuple():
                return tuple(int(part) for part in written.split(","))
            case int():
                return int(written)
            case float():
                return float(written)
    except ValueError:
        kind = "numbers with commas" if isinstance(default, tuple) else "a number"
        raise SystemExit(f"{name}={written!r}: should be {kind}, such as {default}") from None
    return written


SETTINGS = from_environment()
ROOT = Path(__file__).parent.parent
OUT = ROOT / SETTINGS.out
