"""When a process that exited is started again: soon at first, ever later while it keeps failing. Decides only."""

from __future__ import annotations

from dataclasses import dataclass

RETRY_S_MIN = 0.1
RETRY_S_MAX = 5.0
STABLE_S = 10.0
"""A process that ran for so long has recovered: its next exit counts as the first."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often in a row a process has exited before it was stable."""

    failures: int = 0

    def exited(self, ran_s: float) -> tuple[Restarts, float]:
        """The process exited after ``ran_s`` seconds: the new count, and how many seconds to wait before a start."""
        failures = 1 if ran_s >= STABLE_S else self.failures + 1
        doublings = min(failures - 1, 16)  # 2**16 is past any RETRY_S_MAX; the exponent must not grow for ever
        return Restarts(failures), min(RETRY_S_MAX, RETRY_S_MIN * 2.0**doublings)
