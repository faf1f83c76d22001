"""The site that runs without a file: everything on this machine, on the loopback address."""

from __future__ import annotations

import ipaddress

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.model.listener import TCP, UDP, Listener
from mediaha.model.site import Datapath, Domain, Host, MediaServerSpec, NetsSpec, Site, Timings
from mediaha.tca.addresses import PORT_MAX, is_ip

HOST = "here"
LISTEN = Address("127.0.0.1", 5060)
TARGET = Address("127.0.0.1", 5070)
NG_PORT = 2223
PORTS = (20000, 29999)
MEDIA_SERVERS = 2
MEDIA_SERVERS_MAX = 64
PORTS_EACH_MIN = 4


class StandaloneError(MediahaError):
    """The options do not make a site."""


def standalone_site(
    *,
    listen: Address = LISTEN,
    transports: tuple[str, ...] = (UDP, TCP),
    targets: tuple[Address, ...] = (TARGET,),
    ng_port: int = NG_PORT,
    media: int = MEDIA_SERVERS,
    ports: tuple[int, int] = PORTS,
    datapath: Datapath = "auto",
    callers: tuple[str, ...] | None = None,
    timings: Timings | None = None,
) -> Site:
    """One NeTS on ``listen``, by each of ``transports``, and ``media`` media servers, which share out ``ports``.

    The servers are called media-1, media-2 and so on, in the order of the one domain ``*``; their ng ports follow
    each other from ``ng_port`` on, and all have the same ``datapath``. ``callers`` are networks that may call beside
    the targets; None: this machine, when nobody else can reach ``listen``. Raises StandaloneError when the values
    cannot go together.
    """
    _check(listen, targets, ng_port, media)
    servers = tuple(
        MediaServerSpec(
            name=f"media-{index + 1}",
            host=HOST,
            ng=Address(listen.host, ng_port + index),
            interfaces=(listen.host,),
            ports=share,
            datapath=datapath,
        )
        for index, share in enumerate(_shares(ports, media))
    )
    return Site(
        name="standalone",
        hosts=(Host(HOST, listen.host),),
        media=servers,
        nets=(NetsSpec("nets-1", HOST, tuple(Listener(listen, one) for one in transports), callers),),
        domains=(Domain("*", tuple(server.name for server in servers), targets),),
        timings=timings or Timings(),
    )


def _check(listen: Address, targets: tuple[Address, ...], ng_port: int, media: int) -> None:
    if not is_ip(listen.host) or ipaddress.ip_address(listen.host).is_unspecified:
        raise StandaloneError(f"--listen {listen} does not name one IP address of this machine that others can reach")
    for target in targets:
        if not is_ip(target.host):
            raise StandaloneError(f"--target {target}: {target.host!r} is not an IP address; names are not looked up")
        if ipaddress.ip_address(target.host).version != ipaddress.ip_address(listen.host).version:
            raise StandaloneError(f"--target {target} and --listen {listen} mix IPv4 and IPv6; that takes a site file")
        if target == listen:
            raise StandaloneError(f"--target {target} is NeTS itself; its calls would go in a circle")
    if not 1 <= media <= MEDIA_SERVERS_MAX:
        raise StandaloneError(f"--media {media} is not between 1 and {MEDIA_SERVERS_MAX}")
    if not 1 <= ng_port <= PORT_MAX + 1 - media:
        raise StandaloneError(f"--ng-port {ng_port} leaves no room for {media} ports up to {PORT_MAX}")
    if listen.port in range(ng_port, ng_port + media):
        raise StandaloneError(f"--ng-port {ng_port}: the {media} ports from there on meet --listen {listen}")


def _shares(ports: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """Cut ``ports`` into ``count`` ranges of equal size that begin at even ports, as RTP does (RFC 3550 §11)."""
    first = ports[0] + ports[0] % 2
    size = (ports[1] - first + 1) // count // 2 * 2
    if size < PORTS_EACH_MIN:
        raise StandaloneError(f"--ports {ports[0]}-{ports[1]} is too narrow for {count} media servers")
    return [(first + index * size, first + (index + 1) * size - 1) for index in range(count)]
