"""The configured targets of one NeTS, and the addresses that their names stand for. ``watch`` asks how they are."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import structlog

from mediaha.model.address import Address
from mediaha.model.site import Domain
from mediaha.model.trunk import Redirects, Trunk
from mediaha.nets.destination import Destination
from mediaha.nets.ports import Routes
from mediaha.nets.trunks.health import Health, begin
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.resolve.locate import NotLocated, literal_target
from mediaha.sip.resolve.records import AAAA, A
from mediaha.sip.resolve.resolver import Resolver
from mediaha.sip.target import Target
from mediaha.sip.uri import uri_untrusted

RESOLVE_S = 30.0
"""How often names are looked up anew, however long the DNS allows an answer to be used."""
RESOLVE_AGAIN_S = 5.0
"""The same while a name has not been found."""

OWN = ""
"""No trunk is called so."""

_log = structlog.get_logger("trunks")


class _Ways(TypedDict):
    """What the resolver must know of us."""

    transports: list[str]
    kinds: list[str]


@dataclass(slots=True)
class Line:
    """One configured target: a URI, and the addresses that it stands for, each with its health."""

    trunk: Trunk
    uri: str
    found: dict[Target, Destination] = field(default_factory=dict)
    health: dict[Target, Health] = field(default_factory=dict)
    resolve_at: float = float("inf")
    why: str = ""
    """Why there is no address."""


class Lines:
    """Every configured target, as the site says it now. Iterating gives them in the order of the site."""

    def __init__(
        self,
        endpoint: Endpoint,
        routes: Routes,
        target_s_max: float,
        name_servers: Sequence[Address],
        changed: Callable[[Sequence[Trunk]], None],
    ) -> None:
        """``target_s_max``: how long a domain's own target may be silent. ``changed`` is told of another site."""
        self._endpoint = endpoint
        self._routes = routes
        self._target_s_max = target_s_max
        self._name_servers = name_servers
        self._changed = changed
        self._resolver: Resolver | None = None
        self._known: tuple[Sequence[Trunk], Sequence[Domain]] = ((), ())
        self._lines: dict[str, list[Line]] = {}
        """By the trunk's name; under ``OWN`` the URIs that domains name themselves."""
        self._hosts: frozenset[str] | None = None
        """None: to be put together anew."""

    def __iter__(self) -> Iterator[Line]:
        self.read_site()
        return iter([line for lines in self._lines.values() for line in lines])

    def of(self, trunk: str) -> Sequence[Line]:
        """The targets of one trunk."""
        self.read_site()
        return self._lines.get(trunk, ())

    def at(self, flow: Target) -> list[Line]:
        """The targets at the host from which something has come."""
        host = flow.address.host
        return [line for line in self if any(one.address.host == host for one in line.found)]

    def with_target(self, trunk: str, target: Target) -> Line | None:
        """The line of a trunk that stands for this target; None: none does any more."""
        return next((line for line in self._lines.get(trunk, ()) if target in line.health), None)

    def hosts(self) -> frozenset[str]:
        """The IP addresses of all targets, as far as they are known: of trunks, and of domains themselves."""
        self.read_site()
        if self._hosts is None:
            found = {target.address.host for line in self for target in line.found}
            own = (one.host for domain in self._known[1] for one in domain.targets if isinstance(one, Address))
            self._hosts = frozenset(found.union(own))
        return self._hosts

    def listed(self, trunk: str, uri: str | None = None) -> list[Destination]:
        """What a trunk, or one target of it, stands for."""
        lines = [line for line in self.of(trunk) if uri in {None, line.uri}]
        return [destination for line in lines for destination in self._drawn(line)]

    def _drawn(self, line: Line) -> Iterable[Destination]:
        """What the line stands for, in an order drawn anew: each call is a draw of its own (weights, RFC 2782)."""
        if len(line.found) > 1 and self._resolver is not None:
            targets = self._resolver.remembered(uri_untrusted(line.uri), **self._ways())
            if targets is not None:
                first = {target: line.found[target] for target in targets if target in line.found}
                return {**first, **line.found}.values()
        return line.found.values()

    # The site

    def read_site(self) -> None:
        """Take what the site says now; what stays as it was keeps what is believed of it."""
        trunks, domains = self._routes.trunks, self._routes.domains
        if trunks is self._known[0] and domains is self._known[1]:
            return
        before = {(line.trunk.name, line.uri): line for lines in self._lines.values() for line in lines}
        self._known = (trunks, domains)
        self._hosts = None
        self._lines = {}
        for trunk in (*trunks, _own_targets(domains, self._target_s_max)):
            lines = [self._new(trunk, uri, before.get((trunk.name, uri))) for uri in trunk.targets]
            self._lines[trunk.name] = lines
        self._trust_them()
        self._changed(trunks)

    def _new(self, trunk: Trunk, uri: str, before: Line | None) -> Line:
        if before is not None:
            # It stays the same line, so that what is asked at this moment is still heard.
            before.trunk = trunk
            self._found(before, tuple(before.found))
            return before
        line = Line(trunk, uri)
        literal = literal_target(uri_untrusted(uri))
        if literal is not None:
            self._found(line, (literal,))
        else:
            line.resolve_at = 0.0
        return line

    def _trust_them(self) -> None:
        """Whom we send calls to may send us as much as they like."""
        guard = self._endpoint.guard
        if guard is not None:
            guard.trust(self.hosts())

    # Names

    async def resolve(self, line: Line) -> None:
        """Look up what the line stands for. What was found before stays when that fails."""
        try:
            self._resolver = self._resolver or Resolver(self._name_servers)
            targets = await self._resolver.targets(uri_untrusted(line.uri), **self._ways())
        except (NotLocated, OSError) as error:
            # What was found before is still the best that there is.
            before, line.why = line.why, str(error)
            if line.why != before:  # it is asked every few seconds
                _log.warning("target not found", trunk=line.trunk.name, target=line.uri, why=line.why)
        else:
            line.why = ""
            line.resolve_at = time.monotonic() + RESOLVE_S
            self._found(line, targets)
            self._trust_them()

    def _ways(self) -> _Ways:
        """The transports and address families that our listeners reach."""
        places = self._endpoint.places
        families = {place.ipv6 for place in places}
        return {
            "transports": list(dict.fromkeys(place.transport for place in places)),
            "kinds": [kind for kind, ipv6 in ((A, False), (AAAA, True)) if ipv6 in families],
        }

    def _found(self, line: Line, targets: Iterable[Target]) -> None:
        trunk, now = line.trunk, time.monotonic()
        self._hosts = None
        line.found = {
            target: Destination(
                target=target,
                uri=line.uri,
                trunk=trunk.name,
                try_s_max=trunk.try_s_max,
                failures=trunk.failures,
                trusted=trunk.trusted,
                history=trunk.history,
                follows=trunk.redirects is Redirects.FOLLOW,
            )
            for target in targets
        }
        fresh = {target: begin(now, secrets.randbelow(1000) / 1000, trunk) for target in line.found}
        line.health = {target: line.health.get(target, new) for target, new in fresh.items()}


def _own_targets(domains: Iterable[Domain], try_s_max: float) -> Trunk:
    """What the domains name themselves by URI, as the targets of a trunk that nobody checks."""
    uris = (target for domain in domains for target in domain.targets if isinstance(target, str))
    return Trunk(OWN, tuple(dict.fromkeys(uris)), check_s=0, try_s_max=try_s_max)
