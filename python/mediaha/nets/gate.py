"""Who may ask for a call: known places, and users who prove who they are. Decides about places.

Whoever is at neither gets 403, whatever was asked and whyever it is refused; a request inside a dialog belongs to its
call, and does not come by here.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from mediaha.model.site import NetsSpec

LOOPBACK = ("127.0.0.0/8", "::1")
KNOWN_MAX = 4096
"""Addresses whose answer is remembered."""


class Gate:
    """The networks from which calls are taken."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ip_network(network) for network in networks)
        self._known: dict[str, bool] = {}

    def admits(self, host: str) -> bool:
        """Whether calls from this IP address are taken."""
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            address = ip_address(host)
            known = self._known[host] = any(_is_in(address, network) for network in self._networks)
        return known


def networks_of(spec: NetsSpec) -> tuple[str, ...]:
    """Those that the site names; if none, a NeTS that only this machine can reach takes calls from all of it."""
    if spec.callers is not None:
        return spec.callers
    local = all(ip_address(listener.address.host).is_loopback for listener in spec.listeners)
    return LOOPBACK if local else ()


def _is_in(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network
