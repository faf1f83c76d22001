"""What ``mediaha serve`` may be told, whatever it is to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter, Token

from mediaha.model.errors import MediahaError
from mediaha.ops.levels import LogFormat, LogLevel


def whole_number(_type: object, tokens: Sequence[Token]) -> int:
    """What was written, if it is one; 1.5 is not rounded to something that nobody has asked for."""
    written = tokens[0].value
    try:
        return int(written)
    except ValueError:
        raise ValueError(f"{written!r} is not a whole number") from None


Whole = Annotated[int, Parameter(converter=whole_number)]


@dataclass(frozen=True, slots=True)
class Logs:
    """How logs are written; no format means what suits standard error."""

    form: LogFormat | None
    level: LogLevel


class BadDeadline(MediahaError):
    """How long calls may go on is no span of time."""


def drain_s_of(drain_s: float | None, default: float = 30.0) -> float:
    """The option if it was given. Raises BadDeadline."""
    if drain_s is None:
        return default
    if not 0 <= drain_s <= DAY_S:
        raise BadDeadline(f"--drain-seconds {drain_s:g} is not between 0 and {DAY_S}")
    return drain_s


DAY_S = 24 * 3600
