"""Nonces that only we can have made, that grow old, and that count each use once (RFC 7616 section 5.4).

A nonce bears its time and our signature, so that nothing is kept of those that are never used: whoever asks for a
million challenges costs no memory. Only one with which somebody has proved who he is gets an entry, which says
the uses that there were. When there are too many entries the oldest goes, and with it all nonces that are older.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

ENTRIES_MAX = 65_536
WINDOW = 64
"""Uses may overtake one another by so much: requests over UDP do."""

_TIME, _SEQUENCE, _SIGNATURE = 12, 8, 32  # hexadecimal digits
_LENGTH = _TIME + _SEQUENCE + _SIGNATURE


class Use(Enum):
    """What became of an attempt to use a nonce."""

    NEW = auto()
    """Never before: go on."""
    OLD = auto()
    """The nonce has expired, or this use was before: ask for another (stale)."""
    FOREIGN = auto()
    """We have not made it."""


@dataclass(slots=True)
class _Entry:
    issued_ms: int
    highest: int = 0
    seen: int = 0
    """Bit n: the use ``highest - n`` was."""


class Nonces:
    """The nonces of one realm. ``now`` is seconds of a clock that never goes back; ``secret`` is unguessable."""

    __slots__ = ("_entries", "_floor_ms", "_life_ms", "_secret", "_sequence")

    def __init__(self, secret: bytes, life_s: float = 300.0) -> None:
        self._secret = secret
        self._life_ms = int(life_s * 1000)
        self._sequence = 0
        self._entries: dict[str, _Entry] = {}
        self._floor_ms: float = -inf
        """Nonces issued up to then are not known any more, and so not valid any more."""

    def __len__(self) -> int:
        return len(self._entries)

    def issue(self, now: float) -> str:
        """A fresh nonce."""
        self._sequence = (self._sequence + 1) % 16**_SEQUENCE
        text = f"{int(now * 1000):0{_TIME}x}{self._sequence:0{_SEQUENCE}x}"
        return text + self._signature(text)

    def is_ours(self, nonce: str) -> bool:
        """Whether we made it, ever."""
        text = nonce[:-_SIGNATURE]
        return len(nonce) == _LENGTH and hmac.compare_digest(
            self._signature(text).encode(), nonce[-_SIGNATURE:].encode()
        )

    def use(self, nonce: str, count: int, now: float) -> Use:
        """Use it, by somebody who has proved who he is. ``count`` is his ``nc``, from 1 on."""
        if not self.is_ours(nonce):
            return Use.FOREIGN
        issued_ms = int(nonce[:_TIME], 16)
        entry = self._entries.get(nonce)
        if int(now * 1000) - issued_ms > self._life_ms or (entry is None and issued_ms <= self._floor_ms):
            return Use.OLD
        if entry is None:
            entry = self._enter(nonce, issued_ms, now)
        return Use.NEW if _count(entry, count) else Use.OLD

    def _enter(self, nonce: str, issued_ms: int, now: float) -> _Entry:
        entries = self._entries
        while entries:
            oldest = next(iter(entries))
            issued = entries[oldest].issued_ms
            if len(entries) < ENTRIES_MAX and int(now * 1000) - issued <= self._life_ms:
                break
            self._floor_ms = max(self._floor_ms, issued)
            del entries[oldest]
        entries[nonce] = entry = _Entry(issued_ms)
        return entry

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:_SIGNATURE]


def _count(entry: _Entry, count: int) -> bool:
    """Note a use. Returns whether it is a new one."""
    ahead = count - entry.highest
    if ahead > 0:
        entry.seen = (entry.seen << min(ahead, WINDOW) | 1) & ((1 << WINDOW) - 1)
        entry.highest = count
        return True
    bit = 1 << -ahead
    if -ahead >= WINDOW or entry.seen & bit or count < 1:
        return False
    entry.seen |= bit
    return True
