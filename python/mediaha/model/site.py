"""The site: hosts, what runs on them, domains and their ordered lists. Frozen; the TCA loads and checks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mediaha.model.address import Address
from mediaha.model.listener import Listener
from mediaha.model.sip import SipSettings
from mediaha.model.trunk import Trunk
from mediaha.model.user import User


@dataclass(frozen=True, slots=True)
class Timings:
    """How fast faults are noticed and how long things may take. Units are in the names."""

    heartbeat_ms: int = 50
    silence_ms_max: int = 150
    hold_down_ms: int = 2000
    probe_ms: int = 200
    """How often a packet goes through each media server and back; 0: never."""
    ring_s_max: float = 180.0
    drain_s_max: float = 30.0
    session_s: int = 1800
    """The session interval that NeTS asks for (RFC 4028): a call whose parties vanished ends within it."""
    session_s_min: int = 90
    """The smallest session interval that NeTS takes."""
    takeover_ms_max: int = 500
    hang_s_max: float = 10.0
    """A media-server process of this host that has been dead to the pool for so long is killed and started anew."""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the site. ``address`` is what its parts listen on when they name no other; None: they must."""

    name: str
    address: str | None = None


Datapath = Literal["auto", "sockets", "steered", "kernel"]


@dataclass(frozen=True, slots=True)
class MediaServerSpec:
    """A media server: ours, started on its host, or a foreign one (``managed`` false) that speaks ng."""

    name: str
    host: str
    ng: Address
    interfaces: tuple[str, ...] = ("127.0.0.1",)
    ports: tuple[int, int] = (20000, 29999)
    workers: int = 1
    sessions_max: int = 20000
    silence_s_max: float = 60.0
    """A call of which no packet came for so long is dropped; calls on hold have ``held_s_max``."""
    held_s_max: float = 3600.0
    orphan_s_max: float = 180.0
    """An offer that nobody answered is forgotten after this."""
    busy_percent_max: int = 90
    """New calls are refused while the busiest worker has worked for more than this of the last seconds."""
    dscp: int = 46
    """How routers are asked to treat the packets (RFC 2474): 46 is expedited forwarding (RFC 4594)."""
    managed: bool = True
    datapath: Datapath = "auto"
    """What forwards the packets: one socket a port, one socket a worker, or the fastest that works there."""


@dataclass(frozen=True, slots=True)
class NetsSpec:
    """A NeTS instance and where it listens for SIP."""

    name: str
    host: str
    listeners: tuple[Listener, ...]
    """At least one; of each transport the preferred one first."""
    callers: tuple[str, ...] | None = None
    """Networks from which calls are taken, beside targets and users. None: this machine, if nobody else can come."""

    @property
    def listen(self) -> Address:
        """Where its first listener listens."""
        return self.listeners[0].address


@dataclass(frozen=True, slots=True)
class Domain:
    """A partition of the system: callees of ``name`` use these media servers in this order."""

    name: str
    media: tuple[str, ...]
    targets: tuple[Address | str, ...] = ()
    """Where its calls go, tried in order (N4): addresses, over UDP, or SIP URIs, whose names are looked up ..."""
    trunks: tuple[str, ...] = ()
    """... or by which trunks, in order. Calls to users of the domain go to their phones."""


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that is configured."""

    name: str
    hosts: tuple[Host, ...]
    media: tuple[MediaServerSpec, ...]
    nets: tuple[NetsSpec, ...]
    domains: tuple[Domain, ...]
    trunks: tuple[Trunk, ...] = ()
    users: tuple[User, ...] = ()
    timings: Timings = field(default_factory=Timings)
    sip: SipSettings = field(default_factory=SipSettings)
    state: Path | None = None
    """The folder for what survives a restart; None: the usual one."""
    name_servers: tuple[Address, ...] = ()
    """Whom NeTS asks for names; none: those of the machine."""

    def domain(self, name: str) -> Domain | None:
        """The domain called ``name`` (case-insensitive); the one called ``*`` takes what no other does."""
        wanted = name.lower()
        found = None
        for domain in self.domains:
            if domain.name.lower() == wanted:
                return domain
            if domain.name == "*":
                found = domain
        return found
