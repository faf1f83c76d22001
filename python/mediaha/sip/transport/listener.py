"""From a listener of the site to the transport that it becomes. Does."""

from __future__ import annotations

from mediaha.model.listener import UDP, Listener
from mediaha.sip.transport.patience import STREAM_LIMITS, StreamLimits
from mediaha.sip.transport.seam import Transport
from mediaha.sip.transport.streams import StreamTransport
from mediaha.sip.transport.tls import Identity
from mediaha.sip.transport.udp import UdpTransport


def open_transport(listener: Listener, limits: StreamLimits = STREAM_LIMITS) -> Transport:
    """Listen. Raises OSError (the address cannot be listened at), CertificateError."""
    if listener.transport == UDP:
        return UdpTransport(listener.address, listener.name, listener.advertised)
    identity = None if listener.tls is None else Identity(listener.tls)
    return StreamTransport(listener.address, listener.name, listener.advertised, identity=identity, limits=limits)
