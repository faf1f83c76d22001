"""Which place of ours a request leaves by, and the Via that it gets there (sections 18.1.1 and 18.2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mediaha.model.address import Address
from mediaha.sip.fields import MAGIC_COOKIE, Via
from mediaha.sip.target import STREAMS, TCP, TLS, UDP, Place, Target
from mediaha.sip.uri import DEFAULT_PORT, DEFAULT_PORT_TLS


class Way(NamedTuple):
    """A target as it is really taken, and the Via value in front of the branch's unique part."""

    target: Target
    via: str

    @property
    def reliable(self) -> bool:
        """Whether nothing is lost on it."""
        return self.target.transport in STREAMS


FOUND_MAX = 4096
"""Ways remembered; all are forgotten when there are more."""


class Ways:
    """Our places, by what they can reach."""

    __slots__ = ("_by_kind", "_by_name", "_found", "_ours", "_via")

    def __init__(self, places: Iterable[Place]) -> None:
        self._by_name: dict[str, Place] = {}
        self._by_kind: dict[tuple[str, bool], Place] = {}
        self._via: dict[str, str] = {}
        self._ours: set[tuple[str, str, int]] = set()
        self._found: dict[Target | Address, Way | None] = {}
        """Ways found lately: call managers are few, and their calls many."""
        for place in places:
            if place.name in self._by_name:
                raise ValueError(f"two listeners are called {place.name!r}")
            self._by_name[place.name] = place
            self._by_kind.setdefault((place.transport, place.ipv6), place)
            self._via[place.name] = f"SIP/2.0/{place.transport} {place.sent_by};rport;branch={MAGIC_COOKIE}"
            self._ours.add((place.transport, place.sent_by.host.lower(), place.sent_by.port))

    def to(self, where: Target | Address) -> Way | None:
        """The way there; None when no place of ours reaches it."""
        try:
            return self._found[where]
        except KeyError:
            if len(self._found) >= FOUND_MAX:
                self._found.clear()
            way = self._found[where] = self._find(where)
            return way

    def _find(self, where: Target | Address) -> Way | None:
        if isinstance(where, Target):
            transport, address, server_name, listener, connection = where
        else:
            transport, address, server_name, listener, connection = UDP, where, "", "", 0
        if listener:
            place = self._by_name.get(listener)
            if place is None or place.transport != transport:
                return None
        else:
            place = self._by_kind.get((transport, ":" in address.host))
            if place is None:
                return None
        name = server_name if transport == TLS else ""
        return Way(Target(transport, address, name, place.name, connection), self._via[place.name])

    def wider(self, way: Way) -> Way | None:
        """The same over TCP, for a request that is too large for a datagram; None when we have no TCP there."""
        address = way.target.address
        from_host = self._by_name[way.target.listener].sent_by.host
        ipv6 = ":" in address.host
        fitting = [place for place in self._by_name.values() if (place.transport, place.ipv6) == (TCP, ipv6)]
        if not fitting:
            return None
        place = next((place for place in fitting if place.sent_by.host == from_host), fitting[0])
        return Way(Target(TCP, address, "", place.name), self._via[place.name])

    def ours(self, via: Via) -> bool:
        """Whether a response's topmost Via is one that we wrote (section 18.1.2)."""
        default = DEFAULT_PORT_TLS if via.transport == TLS else DEFAULT_PORT
        return (via.transport, via.host, default if via.port is None else via.port) in self._ours
