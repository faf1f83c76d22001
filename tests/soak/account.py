"""What NeTS itself says of its calls: its log, read when all is over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any


def endings(log: Path) -> dict[str, int]:
    """Why calls have ended, and how many for each reason."""
    return dict(Counter(line["why"] for line in _lines(log) if line["event"] == "ended"))


def moved(log: Path) -> int:
    """How often the media of a call has moved to another server."""
    return sum(line["event"] == "moved" for line in _lines(log))


def refused(log: Path) -> int:
    """How many calls were not taken, because there was too much to do."""
    return sum(line["event"] == "request refused" and line["method"] == "INVITE" for line in _lines(log))


def stories(log: Path, sip_call_ids: Collection[str], usual: Collection[str]) -> dict[str, list[str]]:
    """What was decided about calls: those with one of these Call-IDs, and those that ended for no usual reason."""
    names: dict[str, str] = {}
    for line in _lines(log):
        if line.get("sip_call_id") in sip_call_ids or (line["event"] == "ended" and line["why"] not in usual):
            names.setdefault(line["call_id"], line.get("sip_call_id", ""))
    told: dict[str, list[str]] = {}
    for line in _lines(log):
        if line.get("call_id") in names:
            facts = {key: value for key, value in line.items() if key not in {"time", "level", "call_id"}}
            told.setdefault(names[line["call_id"]] or line["call_id"], []).append(json.dumps(facts))
    return told


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    with log.open(errors="replace") as lines:
        for line in lines:
            if line.startswith("{"):
                yield json.loads(line)
