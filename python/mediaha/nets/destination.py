"""Where a call's INVITE may go: one target of a trunk or of a domain, and how patient we are with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from mediaha.model.address import Address
from mediaha.model.value import Value
from mediaha.sip.registration import Contact
from mediaha.sip.target import TLS, UDP, Target
from mediaha.sip.uri import Uri, uri_untrusted

UNAVAILABLE = (503,)


class Destination(Value, frozen=True, kw_only=True):
    """A next hop, with the name by which it is called there."""

    target: Target
    uri: str
    """The Request-URI of an INVITE to it, as yet without a user."""
    trunk: str = ""
    """The trunk that it belongs to; empty: a target that the domain names itself."""
    try_s_max: float | None = None
    """How long it may be silent before the next one is tried; None: as long as the rules say."""
    failures: tuple[int, ...] = UNAVAILABLE
    """Responses that say no more than that it cannot take the call: the next one is tried."""
    is_phone: bool = False
    """A phone that has registered: the URI is its own, and what it refuses another phone may take."""
    beside: bool = False
    """It is tried together with the one before it."""
    path: tuple[str, ...] = ()
    """Proxies on the way, for Route."""
    trusted: bool = True
    """It may know who calls whatever the caller wants, and what it says of the callee is believed (RFC 3325)."""
    history: bool = True
    """It is told by which ways a call has come (Diversion, History-Info)."""
    follows: bool = False
    """Where it sends a call on (3xx), we call ourselves if we can."""
    user: str = ""
    """Who is called there; empty: whom the caller has called. It is another one when the call was sent on (3xx)."""
    doubt: str = ""
    """Why it is tried after the others of its list, for people; empty: it is not."""

    def uri_of(self, user: str, *, secure: bool = False) -> str:
        """The Request-URI for a user there; ``secure``: a ``sips`` one, which names no transport (RFC 5630)."""
        if self.is_phone:
            return self.uri
        uri = uri_untrusted(self.uri)
        scheme, parameters = ("sips", None) if secure else (uri.scheme, uri.parameters)
        return str(Uri(scheme, self.user or user or None, uri.host, uri.port, parameters))

    @property
    def takes_sips(self) -> bool:
        """Whether it can be called by a ``sips`` URI: over TLS, and a phone has a name of that kind."""
        return self.target.transport == TLS and (not self.is_phone or self.uri.lower().startswith("sips:"))

    def __str__(self) -> str:
        place = str(self.target.address) if self.target.transport == UDP else str(self.target)
        name = "phone" if self.is_phone else self.trunk
        named = f"{name} {place}" if name else place
        return f"{named} ({self.doubt})" if self.doubt else named


def phones_of(contacts: Sequence[Contact], way_to: Callable[[Contact], Target]) -> tuple[Destination, ...]:
    """The phones of a user: those of one q together, those of the next when none of them has answered.

    ``way_to`` says where one is now: the connection by which it came may be closed.
    """
    ordered = sorted(contacts, key=lambda contact: -contact.q)
    return tuple(
        Destination(
            target=way_to(contact),
            uri=contact.uri,
            is_phone=True,
            trusted=False,
            path=contact.path,
            beside=index > 0 and ordered[index - 1].q == contact.q,
        )
        for index, contact in enumerate(ordered)
    )


def secured(targets: Sequence[Destination]) -> tuple[Destination, ...]:
    """Those that can be called by a ``sips`` URI; who is tried together still is."""
    found: list[Destination] = []
    together = False
    for target in targets:
        together = together and target.beside
        if target.takes_sips:
            found.append(replace(target, beside=together))
            together = True
    return tuple(found)


def plain(address: Address) -> Destination:
    """A target that a domain names itself: an address, over UDP."""
    return Destination(target=Target(UDP, address), uri=str(Uri("sip", None, address.host, address.port)))
