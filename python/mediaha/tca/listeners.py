"""Where a NeTS of the site file listens: ``listen`` and the ``tls_`` keys of its table, and the mistakes in them."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from mediaha.model.address import Address, AddressError
from mediaha.model.listener import TLS, TRANSPORTS, UDP, WILDCARDS, Listener, Tls
from mediaha.model.site import Host
from mediaha.sip.uri import DEFAULT_PORT, DEFAULT_PORT_TLS
from mediaha.tca.addresses import is_ip
from mediaha.tca.lines import KeyPath
from mediaha.tca.mistakes import did_you_mean
from mediaha.tca.reading import Reading
from mediaha.tca.schema import NetsTable

HINT = "write [TRANSPORT:]IP[:PORT][!ADVERTISED], like tls:192.0.2.11:5061"
TLS_KEYS = ("tls_certificate", "tls_key", "tls_authorities", "tls_client_authorities")

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,255}}$){_LABEL}(\.{_LABEL})*")


def checked_listeners(reading: Reading, path: KeyPath, table: NetsTable, host: Host | None) -> tuple[Listener, ...]:
    """The listeners that can be used; what is wrong with the others is added to the reading's mistakes."""
    if table.advertised is not None and not _is_host(table.advertised):
        reading.mistake((*path, "advertised"), f"{table.advertised!r} is neither an IP address nor a host name")
        return ()
    tls = _tls(reading, path, table)
    if table.listen is None:
        address = _own_address(reading, path, host)
        written = [] if address is None else [((*path, "listen"), f"udp:{address}")]
    elif isinstance(table.listen, str):
        written = [((*path, "listen"), table.listen)]
    else:
        written = [((*path, "listen", index), text) for index, text in enumerate(table.listen)]
        if not written:
            reading.mistake((*path, "listen"), f"the list 'listen' of nets {table.name!r} is empty", HINT)
    found: list[Listener] = []
    for where, text in written:
        listener = _listener(reading, where, text, table, tls)
        if listener is None:
            continue
        if any(_same_port(listener, other) for other in found):
            reading.mistake(where, f"nets {table.name!r} listens on {listener} twice")
        found.append(listener)
    if found and not any(listener.transport == TLS for listener in found):
        _report_idle_files(reading, path, table)
    return tuple(found)


def _listener(reading: Reading, path: KeyPath, text: str, table: NetsTable, tls: Tls | None) -> Listener | None:
    before = len(reading.mistakes)
    transport, rest = _transport(reading, path, text)
    rest, bang, advertised = rest.partition("!")
    address = _address(reading, path, rest, DEFAULT_PORT_TLS if transport == TLS else DEFAULT_PORT)
    if bang and not _is_host(advertised):
        reading.mistake(path, f"{text!r}: the advertised {advertised!r} is neither an IP address nor a host name")
    if address is None or len(reading.mistakes) > before:
        return None
    reached_by = advertised or _advertised_for(address, table.advertised)
    if reached_by is None and address.host in WILDCARDS:
        said = f"nets {table.name!r} listens on every address, so it must say which one others reach"
        reading.mistake(path, said, 'write advertised = "IP or name"')
    elif advertised and is_ip(advertised) and _version(advertised) != _version(address.host):
        reading.mistake(path, f"{text!r} mixes IPv4 and IPv6")
    elif transport == TLS and tls is None:
        said = f"nets {table.name!r} listens with TLS and has no certificate"
        if not (table.tls_certificate or table.tls_key):
            reading.mistake(path, said, 'write tls_certificate = "FILE" and tls_key = "FILE"')
    else:
        return Listener(address, transport, reached_by, tls=tls if transport == TLS else None)
    return None


def _transport(reading: Reading, path: KeyPath, text: str) -> tuple[str, str]:
    """The transport and the rest; UDP when none is written."""
    head, _, rest = text.partition(":")
    if head.upper() in TRANSPORTS:
        return head.upper(), rest
    if head.isalpha() and not is_ip(text) and _names_an_ip(rest):
        known = [transport.lower() for transport in TRANSPORTS]
        reading.mistake(path, f"{text!r}: there is no transport {head!r}", did_you_mean(head.lower(), known))
        return UDP, rest
    return UDP, text


def _names_an_ip(text: str) -> bool:
    try:
        return is_ip(Address.parse(text.partition("!")[0], DEFAULT_PORT).host)
    except AddressError:
        return False


def _address(reading: Reading, path: KeyPath, written: str, default_port: int) -> Address | None:
    try:
        address = Address.parse(written, default_port)
    except AddressError as error:
        reading.mistake(path, str(error), HINT if "!" in written or written.count(":") != 1 else None)
        return None
    if not is_ip(address.host):
        reading.mistake(path, f"{address.host!r} is not an IP address", "names are not looked up")
        return None
    if "%" in address.host:
        reading.mistake(path, f"{address.host} is a link-local address", "nobody beyond the link can answer to it")
        return None
    if address.port == 0:
        reading.mistake(path, f"{written!r} has port 0", "others must be able to name the port")
        return None
    return address


def _own_address(reading: Reading, path: KeyPath, host: Host | None) -> Address | None:
    """Left out, it is the usual port of the host's own address."""
    if host is not None and host.address is not None:
        return Address(host.address, DEFAULT_PORT) if is_ip(host.address) else None
    # A host that is named but unknown is a mistake already, and its address may have been meant.
    if host is not None or (*path[:2], "host") not in reading.lines:
        reading.mistake((*path, "listen"), "this [[nets]] has no 'listen'", f'write listen = "IP:{DEFAULT_PORT}"')
    return None


def _advertised_for(address: Address, advertised: str | None) -> str | None:
    """What the whole table advertises; an IPv4 address is of no use to those who come by IPv6."""
    if advertised is None or (is_ip(advertised) and _version(advertised) != _version(address.host)):
        return None
    return advertised


def _tls(reading: Reading, path: KeyPath, table: NetsTable) -> Tls | None:
    if table.tls_certificate is None and table.tls_key is None:
        return None
    if table.tls_certificate is None or table.tls_key is None:
        there, missing = ("tls_key", "tls_certificate") if table.tls_certificate is None else TLS_KEYS[:2]
        reading.mistake((*path, there), f"nets {table.name!r} has {there!r} and no {missing!r}", "TLS needs both")
        return None

    def file(written: str) -> Path:
        return reading.folder / written

    return Tls(
        certificate=file(table.tls_certificate),
        key=file(table.tls_key),
        authorities=file(table.tls_authorities) if table.tls_authorities else None,
        client_authorities=file(table.tls_client_authorities) if table.tls_client_authorities else None,
        verify=table.tls_verify,
    )


def _report_idle_files(reading: Reading, path: KeyPath, table: NetsTable) -> None:
    written = [key for key in TLS_KEYS if getattr(table, key) is not None]
    if written:
        text = f"nets {table.name!r} has {written[0]!r}, but no listener of it uses TLS"
        reading.mistake((*path, written[0]), text, 'listen = ["udp:IP:5060", "tls:IP:5061"]', warning=True)


def _same_port(one: Listener, other: Listener) -> bool:
    return one.address == other.address and (one.transport == UDP) == (other.transport == UDP)


def _is_host(text: str) -> bool:
    return is_ip(text) or _HOST_NAME.fullmatch(text) is not None


def _version(host: str) -> int:
    return ipaddress.ip_address(host).version
