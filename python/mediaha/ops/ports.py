"""Find out before anything is started whether its port can be had, and say in a sentence why not."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec


class PortsUnavailable(MediahaError):
    """One or more ports cannot be had; a line for each."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that a part of this host is about to bind."""

    what: str
    """Who wants it, for the sentence: ``NeTS nets-1``."""
    address: Address
    change_by: str
    """How to choose another: an option, or a key of the site file."""
    stream: bool = False
    """It is a TCP port."""

    @property
    def protocol(self) -> str:
        return "tcp" if self.stream else "udp"


def check_ports(wanted: Iterable[Wanted]) -> None:
    """Raise PortsUnavailable when any of them cannot be bound now."""
    troubles = [trouble for want in wanted if (trouble := _trouble(want)) is not None]
    if troubles:
        raise PortsUnavailable("\n".join(troubles))


def check_ranges(media: Iterable[MediaServerSpec]) -> None:
    """Raise PortsUnavailable when somebody has all ports for RTP of a media server.

    Single ones may be taken, they are passed over; but a media server that steers its ports has every one of them.
    """
    troubles = [
        f"media server {spec.name} needs ports for RTP, but all of {spec.ports[0]}-{spec.ports[1]} on {host} are taken"
        ", perhaps by another media server; end that, or choose others with --ports, or ports in its [[media]] table"
        for spec in media
        for host in {written.rpartition("/")[2].partition("!")[0] for written in spec.interfaces}
        if all(_is_taken(host, port) for port in range(spec.ports[0], spec.ports[1] + 1))
    ]
    if troubles:
        raise PortsUnavailable("\n".join(troubles))


def _trouble(want: Wanted) -> str | None:
    host, port = want.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if want.stream else socket.SOCK_DGRAM) as probe:
        try:
            if want.stream:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
            if want.stream:
                probe.listen(1)  # with SO_REUSEADDR, only this tells that somebody else listens there
        except OSError as error:
            return bind_trouble(want, error)
    return None


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def bind_trouble(want: Wanted, error: OSError) -> str:
    """The sentence for a bind that failed: what is in the way, and what to do."""
    place = f"{want.address}/{want.protocol}"
    match error.errno:
        case errno.EADDRINUSE:
            holder = _holder(want)
            by = f"process {holder[0]} ({holder[1]})" if holder else "another process"
            return (
                f"{want.what} needs {place}, but {by} has it; end that, or choose another port with {want.change_by}"
            )
        case errno.EACCES:
            return (
                f"{want.what} may not use {place}: ports below 1024 need root or CAP_NET_BIND_SERVICE; "
                f"choose another with {want.change_by}"
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{want.what} cannot use {place}: {want.address.host} is not an address of this machine "
                f"(`ip address` lists them); choose another with {want.change_by}"
            )
    return f"{want.what} cannot use {place}: {(error.strerror or str(error)).lower()}; see {want.change_by}"


def ports_of_others(pid: int | None) -> set[int]:
    """The UDP ports of this machine that are bound by other processes than this one, as far as this user may see."""
    own: set[str] = set()
    with suppress(OSError):
        own = {_readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    tables = (Path("/proc/net") / name for name in ("udp", "udp6"))
    return {port for table in tables for port, link in _bound(table) if link not in own}


def _holder(want: Wanted) -> tuple[int, str] | None:
    """The process that has a port, as far as this user may see: its id and its name."""
    tables = (Path("/proc/net") / f"{want.protocol}{six}" for six in ("", "6"))
    inodes = {link for table in tables for bound, link in _bound(table) if bound == want.address.port}
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            for link in (process / "fd").iterdir():
                if _readlink(link) in inodes:
                    return int(process.name), (process / "comm").read_text().strip()
    return None


def _bound(table: Path) -> list[tuple[int, str]]:
    """The ports in a table of proc(5), each with its socket the way links to sockets are written."""
    found = []
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if table.name.startswith("tcp") and fields[3] != _LISTENING:
                continue
            found.append((int(fields[1].rpartition(":")[2], 16), f"socket:[{fields[9]}]"))
    return found


_LISTENING = "0A"


def _readlink(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
