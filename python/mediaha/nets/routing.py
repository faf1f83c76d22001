"""Where a call to somebody goes: to a user's phones, or by the trunks or targets of the callee's domain."""

from __future__ import annotations

from typing import NamedTuple

from mediaha.model.site import Domain
from mediaha.model.user import User
from mediaha.nets.admission import Refusal, unavailable
from mediaha.nets.destination import Destination, phones_of, secured
from mediaha.nets.ports import Phones, Routes
from mediaha.nets.rules import Limits
from mediaha.nets.trunks.watch import Trunks
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.registration import Contact
from mediaha.sip.target import UDP, Target
from mediaha.sip.uri import Uri

SIPS_NOT_ALLOWED = ("Warning", '380 mediaha "SIPS Not Allowed"')


class Way(NamedTuple):
    """Where a call to somebody goes."""

    domain: str
    servers: tuple[str, ...]
    targets: tuple[Destination, ...]

    def secured(self) -> Way | Refusal:
        """The same by TLS alone, for who calls a ``sips`` URI (RFC 5630 section 5.4)."""
        targets = secured(self.targets)
        return self._replace(targets=targets) if targets else Refusal(480, headers=(SIPS_NOT_ALLOWED,))


class Routing:
    """The ways of one NeTS."""

    def __init__(self, routes: Routes, trunks: Trunks, phones: Phones, endpoint: Endpoint, limits: Limits) -> None:
        self._routes = routes
        self._trunks = trunks
        self._phones = phones
        self._endpoint = endpoint
        self._limits = limits
        self._listeners = frozenset(place.name for place in endpoint.places)
        self._here = frozenset(place.sent_by.host for place in endpoint.places)
        """Our own addresses: who calls somebody there means whichever domain he is of."""

    def way(self, user: str, host: str, otherwise: str = "") -> Way | Refusal:
        """To a user part at a host; ``otherwise`` is the domain that counts when that is no host, or ours."""
        ours = not host or host in self._here
        callee = self._callee(user, otherwise if ours else host, ours=ours)
        domain = self._routes.domain(callee.domain if callee else (otherwise or host) if ours else host)
        if domain is None:
            return Refusal(404, "Unknown Domain")
        if callee is not None and domain.media:
            targets = phones_of(self._phones.contacts(callee), self._way_to)
            return Way(domain.name, domain.media, targets) if targets else Refusal(480)
        return self._by_domain(domain)

    def _callee(self, user: str, domain: str, *, ours: bool) -> User | None:
        if not len(self._phones):
            return None
        name = Uri("sip", user, "").username()
        return self._phones.find(name, domain) or (self._phones.find(name, None) if ours else None)

    def _by_domain(self, domain: Domain) -> Way | Refusal:
        if not domain.media or not (domain.targets or domain.trunks):
            return Refusal(404) if len(self._phones) else unavailable(self._limits, "Nothing Configured")
        targets = self._trunks.destinations(domain)
        return Way(domain.name, domain.media, targets) if targets else unavailable(self._limits, "No Route")

    def _way_to(self, contact: Contact) -> Target:
        """Back to where the phone came from; when its connection is closed, to where it listens, if that is known."""
        flow = contact.flow
        if flow.listener in self._listeners and self._endpoint.is_open(flow):
            return flow
        # What an earlier process has written down may have come by a listener that is no more: another one will do.
        other = flow if flow.transport == UDP else contact.otherwise or flow
        return other if other.listener in self._listeners else other._replace(listener="")
