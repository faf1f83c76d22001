"""From a URI to the targets to try, in order (RFC 3263 section 4). Decides; somebody else asks the DNS.

`locate` is a generator: it yields questions, is sent the answers, and returns the targets.

    an IP address ─────────────────────────────────────────────────────────────▶ targets
    a port is given ───────────────────────────────▶ A, AAAA of the host ──────▶ targets
    a transport is given ──▶ SRV for it ──────────▶ A, AAAA of its hosts ──────▶ targets
    neither ──▶ NAPTR ─────▶ SRV of its services ─▶ A, AAAA of their hosts ────▶ targets
                 └ none ───▶ SRV of each transport
                               └ none ────────────▶ A, AAAA of the host ───────▶ targets

Everything that a domain offers is in the list, the preferred first, so that there is a next one when one fails.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.sip.resolve.order import in_order
from mediaha.sip.resolve.records import AAAA, NAPTR, SRV, A, Naptr, Question, Records, Srv
from mediaha.sip.target import TCP, TLS, UDP, Target
from mediaha.sip.uri import DEFAULT_PORT, DEFAULT_PORT_TLS, Uri

NAPTR_MAX = 16
SRV_MAX = 32
ADDRESSES_MAX = 8
"""Of one host and kind."""
TARGETS_MAX = 32

Answers = Mapping[Question, Records | None]
"""None: nobody could say."""
Locating = Generator[list[Question], Answers, tuple[Target, ...]]
Place = tuple[str, int, str]
"""A host, a port and a transport."""

_SRV_NAMES = {UDP: "_sip._udp", TCP: "_sip._tcp", TLS: "_sips._tcp"}
_NAPTR_SERVICES = {"sip+d2u": UDP, "sip+d2t": TCP, "sips+d2t": TLS}


class NotLocated(MediahaError):
    """There is nowhere to send. ``temporary``: the DNS could not say; answer 503 and not 404."""

    def __init__(self, why: str, *, temporary: bool = False) -> None:
        super().__init__(why)
        self.temporary = temporary


def locate(
    uri: Uri, *, transports: Sequence[str], kinds: Sequence[str] = (A, AAAA), chance: Callable[[], float]
) -> Locating:
    """Find where requests to a URI go.

    ``transports`` are those that we have, the preferred first; ``kinds`` the address families that we reach, likewise;
    ``chance`` gives numbers from 0 up to, but not, 1. Raises NotLocated.
    """
    wanted = uri.transport()
    usable = [transport for transport in transports if wanted in {None, transport}]
    if not usable:
        raise NotLocated(f"no listener of ours speaks {wanted or 'anything'}")
    literal = literal_target(uri)
    if literal is not None:
        if literal.transport not in usable or (AAAA if ":" in literal.address.host else A) not in kinds:
            raise NotLocated(f"no listener of ours reaches {literal}")
        return (literal,)
    host = _host(uri)
    usual = UDP if UDP in usable else usable[0]
    if uri.port is not None:
        places = [(host, uri.port, usual)]
    else:
        services = yield from _services(host, usable, named=uri.parameter("transport") is not None, chance=chance)
        # A domain without SRV records is taken for a host (section 4.2).
        places = [(host, _default_port(usual), usual)] if services is None else services
    return (yield from _targets(places, host, kinds))


def literal_target(uri: Uri) -> Target | None:
    """The target of a URI that names an IP address; None when it names a host."""
    transport = uri.transport() or UDP
    return _literal(_host(uri), _default_port(transport) if uri.port is None else uri.port, transport)


@lru_cache(maxsize=4096)
def _literal(host: str, port: int, transport: str) -> Target | None:
    try:
        ip_address(host)
    except ValueError:
        return None
    return Target(transport, Address(host, port), host if transport == TLS else "")


def _services(
    host: str, usable: Sequence[str], *, named: bool, chance: Callable[[], float]
) -> Generator[list[Question], Answers, list[Place] | None]:
    """The hosts that serve a domain, in order; None when it has no SRV records."""
    offered: list[tuple[str, str]] = []
    if not named:
        question = Question(host, NAPTR)
        offered = _offered((yield [question])[question] or (), usable)
    if not offered:
        offered = [(transport, f"{_SRV_NAMES[transport]}.{host}") for transport in usable]
    answers = yield list(dict.fromkeys(Question(name, SRV) for _, name in offered))
    places: list[Place] = []
    declined = unsaid = False
    for transport, name in offered:
        records = answers[Question(name, SRV)]
        unsaid = unsaid or records is None
        found = [record for record in (records or ())[:SRV_MAX] if isinstance(record, Srv)]
        there = [record for record in found if record.host]
        declined = declined or len(there) < len(found)
        places.extend((record.host, record.port, transport) for record in in_order(there, chance))
    if places:
        return places
    if declined:
        raise NotLocated(f"{host} says that it has no such service")
    if unsaid:
        # The address of the bare domain would be somewhere else altogether: a web server, mostly.
        raise NotLocated(f"the DNS does not say where {host} is served", temporary=True)
    return None


def _offered(records: Records, usable: Sequence[str]) -> list[tuple[str, str]]:
    """Transports and SRV names of a domain's NAPTR records that we can use, in its order (section 4.1)."""
    found: list[tuple[int, int, str, str]] = []
    for record in records[:NAPTR_MAX]:
        if isinstance(record, Naptr) and record.flags.lower() == "s" and record.replacement:
            transport = _NAPTR_SERVICES.get(record.service.lower())
            if transport is not None and transport in usable:
                found.append((record.order, record.preference, transport, record.replacement))
    return [(transport, name) for _, _, transport, name in sorted(found)]


def _targets(
    places: Sequence[Place], domain: str, kinds: Sequence[str]
) -> Generator[list[Question], Answers, tuple[Target, ...]]:
    """The addresses of the hosts, in their order."""
    places = places[:TARGETS_MAX]
    answers = yield list(dict.fromkeys(Question(host, kind) for host, _, _ in places for kind in kinds))
    targets: dict[Target, None] = {}
    for host, port, transport in places:
        # The certificate must be the domain's, whatever host the DNS has sent us to (RFC 5922 section 4).
        name = domain if transport == TLS else ""
        for kind in kinds:
            for record in (answers[Question(host, kind)] or ())[:ADDRESSES_MAX]:
                if isinstance(record, str):
                    targets[Target(transport, Address(record, port), name)] = None
    if not targets:
        unsaid = any(answer is None for answer in answers.values())
        why = f"the DNS does not say where {domain} is" if unsaid else f"{domain} has no address"
        raise NotLocated(why, temporary=unsaid)
    return tuple(targets)[:TARGETS_MAX]


def _host(uri: Uri) -> str:
    """Whom to look for: ``maddr`` overrides the host (section 4)."""
    host = (uri.parameter("maddr") or uri.host).lower().strip("[]").rstrip(".")
    if not host:
        raise NotLocated(f"{uri} names no host")
    return host


def _default_port(transport: str) -> int:
    return DEFAULT_PORT_TLS if transport == TLS else DEFAULT_PORT
