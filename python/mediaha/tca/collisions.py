"""Two parts that want the same port of one machine, found before the second one fails to start.

Loopback and wildcard addresses belong to their host; any other address is unique in the site, so a port of it can
be wanted twice across hosts too (a mistake in copying a table).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from mediaha.model.listener import UDP
from mediaha.model.site import MediaServerSpec, Site
from mediaha.tca.addresses import local_address
from mediaha.tca.lines import KeyPath
from mediaha.tca.reading import Reading


@dataclass(frozen=True, slots=True)
class Claim:
    """A range of ports of one address that a part wants for itself; a single port is a range of one."""

    what: str
    host: str
    address: str
    first: int
    last: int
    path: KeyPath
    transport: str = "UDP"

    def meets(self, other: Claim) -> bool:
        """Whether the two cannot both be had."""
        ports_meet = self.transport == other.transport and self.first <= other.last and other.first <= self.last
        return ports_meet and _addresses_meet(self, other)

    def __str__(self) -> str:
        port = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        stream = "" if self.transport == "UDP" else f"{self.transport} "
        return f"{self.what} wants {self.address} {stream}port{'s' if self.first != self.last else ''} {port}"


def report_collisions(reading: Reading, site: Site) -> None:
    """Add a mistake for each part that meets an earlier one; the later of the two in the file gets the line."""
    claims = sorted(_claims(reading, site), key=lambda claim: reading.line(claim.path))
    for index, later in enumerate(claims):
        for earlier in claims[:index]:
            if earlier.meets(later):
                line = reading.line(earlier.path)
                reading.mistake(later.path, f"{later}, but {earlier} (line {line})", _hint(earlier, later))
                break


def _claims(reading: Reading, site: Site) -> Iterator[Claim]:
    paths = {("media", table.name): path for path, table in reversed(reading.media)}
    paths |= {("nets", table.name): path for path, table in reversed(reading.nets)}
    for media in site.media:
        path = paths["media", media.name]
        what = f"media {media.name!r}"
        yield Claim(f"{what} ng", media.host, media.ng.host, media.ng.port, media.ng.port, (*path, "ng"))
        if media.managed:
            for address in _locals(media):
                yield Claim(f"{what} RTP", media.host, address, *media.ports, (*path, "ports"))
    for nets in site.nets:
        path = (*paths["nets", nets.name], "listen")
        for one in nets.listeners:
            transport = "UDP" if one.transport == UDP else "TCP"
            host, port = one.address
            yield Claim(f"nets {nets.name!r} SIP", nets.host, host, port, port, path, transport)


def _locals(media: MediaServerSpec) -> list[str]:
    """The local addresses of its interfaces, each once."""
    return list(dict.fromkeys(local_address(written) for written in media.interfaces))


def _addresses_meet(one: Claim, other: Claim) -> bool:
    ours, theirs = ipaddress.ip_address(one.address), ipaddress.ip_address(other.address)
    same_host = one.host == other.host
    if ours.is_unspecified or theirs.is_unspecified:
        return same_host and ours.version == theirs.version
    if ours.is_loopback and theirs.is_loopback and not same_host:
        return False
    return ours == theirs


def _hint(earlier: Claim, later: Claim) -> str:
    if earlier.first == earlier.last and later.first == later.last:
        return "give one of them another port"
    return "give each its own ports"
