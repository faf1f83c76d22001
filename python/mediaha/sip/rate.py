"""How much one source may send: a limit for each, in bounded memory (a hostile network sends from many).

Each source has an allowance that refills steadily. What it has used is one number, the time at which all of it is
paid back; a source that has paid everything back is forgotten. When there are more sources than places in the table,
those that are not in it share one allowance: a flood from made-up addresses is held back as a whole, and those who
were there before go on undisturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a source may do. An IPv6 source is its /64: whoever has one address there has them all."""

    per_s: float = 50.0
    """Messages a second in the long run."""
    burst: int = 200
    """Messages at once after a rest."""
    shared_per_s: float = 500.0
    """The same for all sources together that find no place in the table."""
    shared_burst: int = 1000
    sources_max: int = 20_000
    debt_s_max: float = 600.0
    """However much a source has used or was charged, after this it may begin again."""


class RateLimit:
    """Decides whether a message is taken. ``now`` is seconds of a clock that never goes back."""

    __slots__ = (
        "_always",
        "_limits",
        "_paid_at",
        "_shared_paid_at",
        "_swept_at",
        "_trusted",
        "_vouched",
        "turned_away",
    )

    def __init__(
        self,
        limits: RateLimits | None = None,
        trusted: Iterable[str] = (),
        vouched: Callable[[str], bool] = lambda host: False,
    ) -> None:
        """``trusted`` are addresses that may send whatever they like, for good; and whom ``vouched`` says yes to."""
        self._vouched = vouched
        self._limits = limits or RateLimits()
        self._always = self._trusted = frozenset(trusted)
        self._paid_at: dict[str, float] = {}
        self._shared_paid_at = 0.0
        self._swept_at = 0.0
        self.turned_away = 0
        """Messages that were not taken, since the start."""

    def __len__(self) -> int:
        return len(self._paid_at)

    def trust(self, hosts: Iterable[str]) -> None:
        """Replace those who are trusted for now: trunks."""
        self._trusted = self._always.union(hosts)

    def admits(self, host: str, now: float) -> bool:
        """Whether a message from there is taken; it is counted as used if so."""
        if host in self._trusted or self._vouched(host):
            return True
        limits = self._limits
        source = _source(host)
        paid_at = self._paid_at.get(source)
        if paid_at is None and not self._has_room(now):
            return self._shared(now)
        paid_at = max(paid_at or now, now) + 1 / limits.per_s
        if paid_at - now > (limits.burst + 0.5) / limits.per_s:  # half a message, for rounding
            self.turned_away += 1
            return False
        self._paid_at[source] = paid_at
        return True

    def charge(self, host: str, messages: int, now: float) -> None:
        """Count something against a source as if it had sent that many: a wrong password, a call to nowhere."""
        if host in self._trusted or self._vouched(host):
            return
        source = _source(host)
        paid_at = self._paid_at.get(source)
        if paid_at is not None or self._has_room(now):
            debt = max(paid_at or now, now) + messages / self._limits.per_s
            self._paid_at[source] = min(debt, now + self._limits.debt_s_max)

    def _shared(self, now: float) -> bool:
        limits = self._limits
        paid_at = max(self._shared_paid_at, now) + 1 / limits.shared_per_s
        if paid_at - now > (limits.shared_burst + 0.5) / limits.shared_per_s:
            self.turned_away += 1
            return False
        self._shared_paid_at = paid_at
        return True

    def _has_room(self, now: float) -> bool:
        limits = self._limits
        if len(self._paid_at) < limits.sources_max:
            return True
        # Looking through a full table for each message of a flood would be a gift to it: at most once a second.
        if now >= self._swept_at + 1:
            self._swept_at = now
            self._paid_at = {source: paid_at for source, paid_at in self._paid_at.items() if paid_at > now}
        return len(self._paid_at) < limits.sources_max


@lru_cache(maxsize=4096)
def _source(host: str) -> str:
    if ":" not in host:
        return host
    return str(ip_network(f"{host}/64", strict=False).network_address)
