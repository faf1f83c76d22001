"""Where a message goes or came from, and our own places that it leaves by."""

from __future__ import annotations

from typing import NamedTuple

from mediaha.model.address import Address
from mediaha.model.listener import TCP, TLS, TRANSPORTS, UDP
from mediaha.model.value import Value

__all__ = ["STREAMS", "TCP", "TLS", "TRANSPORTS", "UDP", "Place", "Target", "target_of"]

STREAMS = frozenset({TCP, TLS})


class Target(NamedTuple):
    """A way to somebody. What came from the network bears the way back: a *flow*, with all its parts."""

    transport: str
    address: Address
    """An IP address and a port; names are for `mediaha.sip.resolve`."""
    server_name: str = ""
    """What the certificate at the other end must be made out to (RFC 5922); over TLS only, and empty in a flow that
    the other end has opened."""
    listener: str = ""
    """The name of the Place by which it leaves; empty: the first that fits."""
    connection: int = 0
    """Zero: whichever connection leads there, a new one if there is none. Else this one and no other."""

    def leads_over(self, flow: Target) -> bool:
        """Whether what goes to this target takes that flow, and shares its fate.

        A flow without a listener stands for its connection alone.
        """
        if self.connection:
            return self.connection == flow.connection
        return (
            self.address == flow.address
            and self.transport == flow.transport
            and self.listener == flow.listener
            and self.server_name == flow.server_name
        )

    def __str__(self) -> str:
        return f"{self.address}/{self.transport.lower()}"


def target_of(where: Target | Address) -> Target:
    """An address alone means UDP."""
    return where if isinstance(where, Target) else Target(UDP, where)


class Place(Value, frozen=True):
    """A listener of ours as peers see it."""

    transport: str
    sent_by: Address
    """What Via says: where responses find us, and requests too when it is used as Contact."""
    name: str = ""
    ipv6: bool = False
    """Whether it reaches IPv6 addresses; else it reaches IPv4 ones."""
