"""What a media server, ours or an rtpengine, says of itself when asked for statistics: any answer is survived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from mediaha.ops.inquiry import Statistics


class Growth(msgspec.Struct, kw_only=True):
    """Something that a server has counted since it started, and whether it goes on."""

    what: str
    """For packets the cause: overflow, stranger, malformed, …; for calls what was wanting: sessions, load, ports."""
    count: int
    per_s: int = 0
    """In the last seconds; 0: not any more."""
    since: str | None = None
    """ISO 8601, UTC: when it began, the last time. None if it has not since the server's process began."""
    last: str | None = None
    """ISO 8601, UTC: when it was last seen to."""
    for_s: float | None = None
    """From the one to the other."""
    ago_s: float | None = None
    """How long the last time is past."""


def count(statistics: Statistics | None, *keys: str) -> int | None:
    """The sum of what ``currentstatistics`` has under these keys; None when it has none of them."""
    current = _section(statistics, "currentstatistics")
    found = [value for key in keys if isinstance(value := current.get(key), int)]
    return sum(found) if found else None


def percent(statistics: Statistics | None, key: str) -> float | None:
    """What it has in thousandths under this key."""
    permille = count(statistics, key)
    return permille / 10 if permille is not None else None


def word(statistics: Statistics | None, key: str) -> str | None:
    """What ``currentstatistics`` says under this key; None when it says nothing."""
    value = _section(statistics, "currentstatistics").get(key)
    return value if isinstance(value, str) and value else None


def grown(statistics: Statistics | None, section: str, wall: float) -> list[Growth]:
    """What is not nothing of the counts in a section, at this Unix time."""
    return list(_grown(_section(statistics, section), wall))


def _grown(counts: Mapping[str, object], wall: float) -> Iterator[Growth]:
    for what, facts in counts.items():
        if not isinstance(facts, Mapping) or not _number(facts, "count"):
            continue
        one = Growth(what=what, count=_number(facts, "count"), per_s=_number(facts, "rate"))
        since, last = _number(facts, "since"), _number(facts, "last")
        if 0 < since <= last < FAR_FUTURE:
            one.since, one.last = _iso(since), _iso(last)
            one.for_s, one.ago_s = float(last - since), round(max(0.0, wall - last), 3)
        yield one


FAR_FUTURE = 2**33
"""Unix time; what lies behind it is no moment that anything has happened at."""


def _iso(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")


def _number(facts: Mapping[str, object], key: str) -> int:
    value = facts.get(key)
    return value if isinstance(value, int) else 0


def _section(statistics: Statistics | None, name: str) -> Mapping[str, object]:
    section = statistics.get(name) if statistics is not None else None
    return section if isinstance(section, Mapping) else {}
