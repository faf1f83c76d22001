"""What ``mediaha serve`` may be told, whatever it is to run."""

from __future__ import annotations

from dataclasses import dataclass

from mediaha.ops.levels import LogFormat, LogLevel


@dataclass(frozen=True, slots=True)
class Logs:
    """How logs are written; no format means what suits standard error."""

    form: LogFormat | None
    level: LogLevel


def drain_s_of(drain_s: float | None, default: float = 30.0) -> float:
    """The option if it was given."""
    return default if drain_s is None else max(0.0, drain_s)
