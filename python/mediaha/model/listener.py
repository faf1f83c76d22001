"""Where something listens for SIP: an address and a transport, with the certificate files that TLS needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mediaha.model.address import Address

UDP, TCP, TLS = "UDP", "TCP", "TLS"
"""Transports as Via writes them."""
TRANSPORTS = (UDP, TCP, TLS)

WILDCARDS = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of one TLS listener, in PEM. Section 26.3.1; TLS 1.2 at least (RFC 5630 does not know better)."""

    certificate: Path
    """Our certificate and what leads from it to a root."""
    key: Path
    authorities: Path | None = None
    """Whom we trust when we connect; None: whom this system trusts."""
    client_authorities: Path | None = None
    """Mutual TLS: those who connect must show a certificate of these. None: nobody is asked for one."""
    verify: bool = True
    """False: whoever answers is believed when we connect. For a laboratory."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address and transport. Port 0 picks a free one."""

    address: Address
    transport: str = UDP
    advertised: str | None = None
    """The host written into Via; needed when the address is a wildcard."""
    name: str = ""
    """How targets refer to it; ``udp 127.0.0.1:5060`` or the like when empty."""
    tls: Tls | None = None
    """For TLS, and for it alone."""

    def __post_init__(self) -> None:
        if self.transport not in TRANSPORTS:
            raise ValueError(f"{self.transport!r} is no transport; there are {', '.join(TRANSPORTS)}")
        if self.advertised is None and self.address.host in WILDCARDS:
            raise ValueError(f"{self.address} needs an advertised host: nobody can answer to a wildcard")
        if (self.tls is not None) != (self.transport == TLS):
            raise ValueError(f"{self.address}: a certificate belongs to TLS, and TLS needs one")

    def __str__(self) -> str:
        return f"{self.address}/{self.transport.lower()}"


@dataclass(frozen=True, slots=True)
class ListenerView:
    """A listener that is at work, for people."""

    listen: str
    """``192.0.2.11:5061/tls``, with the real port."""
    connections: int | None = None
    """None with UDP."""
    certificate_ends: float | None = None
    """Until when the certificate that new connections are shown is valid, seconds since 1970; None without TLS."""
