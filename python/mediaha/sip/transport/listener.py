"""What an endpoint listens on, as values, and the transports that they become. Does."""

from __future__ import annotations

from dataclasses import dataclass

from mediaha.model.address import Address
from mediaha.sip.target import TLS, TRANSPORTS, UDP
from mediaha.sip.transport.patience import STREAM_LIMITS, StreamLimits
from mediaha.sip.transport.seam import Transport
from mediaha.sip.transport.streams import StreamTransport
from mediaha.sip.transport.tls import Identity, Tls
from mediaha.sip.transport.udp import UdpTransport

WILDCARDS = frozenset({"0.0.0.0", "::"})


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


def open_transport(listener: Listener, limits: StreamLimits = STREAM_LIMITS) -> Transport:
    """Listen. Raises OSError (the address cannot be listened at), CertificateError."""
    if listener.transport == UDP:
        return UdpTransport(listener.address, listener.name, listener.advertised)
    identity = None if listener.tls is None else Identity(listener.tls)
    return StreamTransport(listener.address, listener.name, listener.advertised, identity=identity, limits=limits)
