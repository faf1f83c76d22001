"""What the DNS has said, for as long as it may be believed, and for longer while the DNS is down (RFC 8767).

    Fresh ─ TTL ─▶ Stale ─ STALE_S_MAX ─▶ forgotten
                     │
                     └ asked again in vain: believed without asking for RETRY_S, then asked again

That a question was asked in vain is remembered too, when there is no answer at all: for SILENCE_S.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from mediaha.sip.resolve.records import Question, Records

ENTRIES_MAX = 4096
"""The one that has not been wanted for longest is forgotten first."""
TTL_S_MIN = 5.0
"""A TTL of zero would have us ask for every call."""
TTL_S_MAX = 86_400.0
NONE_S_MAX = 300.0
"""How long it is believed that there is nothing; somebody may be about to add it."""
STALE_S_MAX = 3 * 86_400.0
RETRY_S = 30.0
SILENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Believed:
    """What is answered, without asking. None: nobody can say, as we have just found out."""

    records: Records | None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Ask; when nobody can say, this was true not long ago."""

    records: Records


@dataclass(slots=True)
class _Entry:
    records: Records | None
    fresh_until: float
    in_vain_until: float = -inf


class Cache:
    """Answers by question. ``now`` is seconds of any clock that never goes back."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Question, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def look(self, question: Question, now: float) -> Believed | Doubtful | None:
        """What is known; None: ask."""
        entry = self._entries.pop(question, None)
        if entry is None or now >= entry.fresh_until + STALE_S_MAX:
            return None
        self._entries[question] = entry
        if now < entry.fresh_until or now < entry.in_vain_until:
            return Believed(entry.records)
        return None if entry.records is None else Doubtful(entry.records)

    def learn(self, question: Question, records: Records, ttl_s: float, now: float) -> None:
        """The DNS has said this."""
        ttl_s = min(max(ttl_s, TTL_S_MIN), TTL_S_MAX if records else NONE_S_MAX)
        self._enter(question, _Entry(records, now + ttl_s))

    def asked_in_vain(self, question: Question, now: float) -> None:
        """The DNS did not answer."""
        entry = self._entries.get(question)
        if entry is None or entry.records is None:
            self._enter(question, _Entry(None, now + SILENCE_S))
        else:
            entry.in_vain_until = now + RETRY_S

    def _enter(self, question: Question, entry: _Entry) -> None:
        self._entries.pop(question, None)
        if len(self._entries) >= ENTRIES_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[question] = entry
