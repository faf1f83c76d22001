"""Whether a host is an address already: a name handed to a socket would be looked up there and then."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=4096)
def is_literal(host: str, *, ipv6: bool) -> bool:
    """Whether this is an IP address of that family. For names every call would wait for DNS."""
    try:
        return ip_address(host).version == (6 if ipv6 else 4)
    except ValueError:
        return False
