"""The small notations of a site file and of the command line: addresses, ranges of ports, interfaces."""

from __future__ import annotations

import ipaddress

PORT_MIN = 1024
PORT_MAX = 65535
PORTS_IN_RANGE_MIN = 4
"""One call with one stream takes four ports: RTP and RTCP for each side."""


def parse_ports(written: str) -> tuple[int, int]:
    """Read ``FIRST-LAST``. Raises ValueError with what is wrong with it."""
    first_text, _, last_text = written.partition("-")
    if not (_is_number(first_text) and _is_number(last_text)):
        raise ValueError("not a range of ports")
    first, last = int(first_text), int(last_text)
    if not PORT_MIN <= first <= last <= PORT_MAX:
        raise ValueError(f"a range goes upwards, from {PORT_MIN} to {PORT_MAX} at the widest")
    if last - first + 1 < PORTS_IN_RANGE_MIN:
        raise ValueError(f"one call needs {PORTS_IN_RANGE_MIN} ports")
    return first, last


INTERFACE_HINT = "write IP, NAME/IP, or NAME/IP!ADVERTISED-IP"


def interface_mistake(written: str) -> str | None:
    """What is wrong with ``[NAME/]IP[!ADVERTISED-IP]``, or None."""
    name, slash, rest = written.rpartition("/")
    local, bang, advertised = rest.partition("!")
    if slash and not name:
        return f"interface {written!r} has an empty name"
    if not is_ip(local):
        return f"interface {written!r}: {local!r} is not an IP address"
    if bang and not is_ip(advertised):
        return f"interface {written!r}: the advertised {advertised!r} is not an IP address"
    if bang and ipaddress.ip_address(local).version != ipaddress.ip_address(advertised).version:
        return f"interface {written!r} mixes IPv4 and IPv6"
    return None


def network_mistake(written: str) -> str | None:
    """What is wrong with a network, ``IP`` or ``IP/PREFIX``, or None."""
    try:
        ipaddress.ip_network(written)
    except ValueError as error:
        return (
            f"{written!r} is not a network: {error}" if "host bits" in str(error) else f"{written!r} is not a network"
        )
    return None


def local_address(interface: str) -> str:
    """The local IP of ``[NAME/]IP[!ADVERTISED-IP]``."""
    return interface.rpartition("/")[2].partition("!")[0]


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5
