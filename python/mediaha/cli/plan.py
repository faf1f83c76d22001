"""From the options of ``mediaha serve`` to values of the model; what is wrong is said in the option's words."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from mediaha.model.address import Address, AddressError
from mediaha.model.errors import MediahaError
from mediaha.model.listener import TCP, TLS, UDP
from mediaha.model.site import Datapath, MediaServerSpec, Site
from mediaha.tca import standalone_site
from mediaha.tca.addresses import INTERFACE_HINT, interface_mistake, is_ip, network_mistake, parse_ports
from mediaha.tca.mistakes import did_you_mean, hinted
from mediaha.tca.schema import SESSIONS_MAX, WEEK_S
from mediaha.tca.standalone import LISTEN, MEDIA_SERVERS, NG_PORT, PORTS, TARGET


class BadOption(MediahaError):
    """An option's value is not what it should be."""


def standalone(
    *,
    listen: str | None,
    targets: Sequence[str] | None,
    callers: Sequence[str] | None,
    ng_port: int | None,
    media: int | None,
    ports: str | None,
    datapath: Datapath | None,
) -> Site:
    """The standalone site of these options. Raises BadOption, StandaloneError."""
    for network in callers or ():
        if (wrong := network_mistake(network)) is not None:
            raise BadOption(f"--caller: {wrong}; write IP or IP/PREFIX, like 192.0.2.0/24")
    transports, address = _listen(listen)
    return standalone_site(
        listen=address,
        transports=transports,
        targets=tuple(_address("--target", target, TARGET) for target in targets or ()) or (_target_for(address),),
        callers=tuple(callers) if callers else None,
        ng_port=NG_PORT if ng_port is None else ng_port,
        media=MEDIA_SERVERS if media is None else media,
        ports=_ports(ports),
        datapath=datapath or "auto",
    )


def media_server(
    *,
    name: str | None,
    listen_ng: str | None,
    interfaces: Sequence[str] | None,
    ports: str | None,
    workers: int | None,
    sessions_max: int | None,
    silence_s: float | None,
    held_s: float | None,
    orphan_s: float | None,
    busy_percent_max: int | None,
    dscp: int | None,
    datapath: Datapath | None,
) -> MediaServerSpec:
    """The one media server of these options. Raises BadOption."""
    default = Address("127.0.0.1", NG_PORT)
    for written in interfaces or ():
        if (wrong := interface_mistake(written)) is not None:
            raise BadOption(f"--interface: {wrong}; {INTERFACE_HINT}")
    return MediaServerSpec(
        name=name or "media",
        host="",
        ng=_address("--listen-ng", listen_ng, default),
        interfaces=tuple(interfaces or ("127.0.0.1",)),
        ports=_ports(ports),
        workers=int(_within("--workers", workers, 1, 1, 256)),
        sessions_max=int(_within("--sessions-max", sessions_max, 20000, 1, SESSIONS_MAX)),
        silence_s_max=_within("--silence-seconds", silence_s, 60.0, 0.1, WEEK_S),
        held_s_max=_within("--held-seconds", held_s, 3600.0, 0.1, WEEK_S),
        orphan_s_max=_within("--orphan-seconds", orphan_s, 180.0, 0.1, WEEK_S),
        busy_percent_max=int(_within("--busy-percent-max", busy_percent_max, 90, 10, 100)),
        dscp=int(_within("--dscp", dscp, 46, 0, 63)),
        datapath=datapath or "auto",
    )


def host_of(site: Site, named: str | None) -> str:
    """Which host of the site we are: the one named, the one with this machine's name, or the only one.

    Raises BadOption when that is not clear.
    """
    names = [host.name for host in site.hosts]
    if named is not None:
        if named not in names:
            wrong = f"--host {named}: the site {site.name!r} has no such host"
            raise BadOption(hinted(wrong, did_you_mean(named, names)))
        return named
    machine = socket.gethostname()
    for candidate in (machine, machine.partition(".")[0]):
        if candidate in names:
            return candidate
    if len(names) == 1:
        return names[0]
    raise BadOption(
        f"the site {site.name!r} has the hosts {', '.join(names)}; say which one this is with --host NAME "
        f"(this machine is called {machine!r})"
    )


def _listen(written: str | None) -> tuple[tuple[str, ...], Address]:
    """Call managers and phones try TCP as well as UDP, and large requests need it: unless one is named, it is both."""
    transport, colon, rest = (written or "").partition(":")
    named = transport.upper()
    if colon and named == TLS:
        raise BadOption("--listen: TLS needs certificates; name them in a site file, see docs/site.md")
    if colon and named in (UDP, TCP):
        return (named,), _address("--listen", rest, LISTEN)
    return (UDP, TCP), _address("--listen", written, LISTEN)


def _target_for(listen: Address) -> Address:
    """Where calls go when nobody has said it: the same port of this machine, of the address family that we have."""
    return TARGET._replace(host="::1") if ":" in listen.host else TARGET


def _address(option: str, written: str | None, default: Address) -> Address:
    if written is None:
        return default
    try:
        address = Address.parse(written, default.port)
    except AddressError as error:
        raise BadOption(f"{option}: {error}") from error
    if not is_ip(address.host):
        raise BadOption(f"{option}: {address.host!r} is not an IP address; names are not looked up")
    return address


def _ports(written: str | None) -> tuple[int, int]:
    if written is None:
        return PORTS
    try:
        return parse_ports(written)
    except ValueError as error:
        raise BadOption(f"--ports {written}: {error}; write FIRST-LAST, like 20000-29999") from error


def _within(option: str, value: float | None, default: float, least: float, most: float) -> float:
    """The limits are those of the site file, see ``tca.schema``."""
    if value is None:
        return default
    if not least <= value <= most:  # nor is it any number
        raise BadOption(f"{option} {value} is not between {least} and {most}")
    return value
