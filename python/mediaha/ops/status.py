"""What ``mediaha status`` shows: the answer of the control socket, typed at both of its ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from mediaha.model.listener import ListenerView
from mediaha.model.media import ServerChanged, ServerView
from mediaha.model.site import MediaServerSpec, NetsSpec
from mediaha.model.trunk import RegistrationView, TargetView
from mediaha.model.user import ContactView
from mediaha.ops import figures
from mediaha.ops.figures import Growth
from mediaha.ops.inquiry import Statistics
from mediaha.ops.kept import Running, Starting, State, Waiting


class ServerStatus(msgspec.Struct, kw_only=True):
    """A media server as this host knows it. None stands for what this host cannot know."""

    name: str
    host: str
    ng: str
    interfaces: list[str]
    ports: tuple[int, int] | None
    managed: bool
    state: str
    """To the failover pool: usable, suspect, dead, recovering, draining. Without a pool: the process's state."""
    why: str
    since: str
    """ISO 8601, UTC."""
    for_s: float
    calls: int | None = None
    """Calls of this host's NeTS on it."""
    sessions: int | None = None
    """Calls on it by its own count, whoever placed them."""
    streams: int | None = None
    rtt_ms: float | None = None
    forwards: bool | None = None
    """Whether packets come through its media; None while nobody knows."""
    datapath: str | None = None
    """What forwards its packets, by its own word."""
    datapath_reason: str | None = None
    busy_percent: float | None = None
    """How much of its time its busiest worker has needed lately."""
    expected_percent: float | None = None
    """How much it is going to need with the calls that there are now; 100 after packets were dropped."""
    busy_percent_max: float | None = None
    """From how much on new calls are refused; 100 for never."""
    sessions_max: int | None = None
    ports_open: int | None = None
    ports_max: int | None = None
    packets_per_s: int | None = None
    """Forwarded in the last seconds."""
    refuses: str | None = None
    """Why it would refuse a new call now; None if it would not."""
    refused: list[Growth] = []
    """New calls that it has refused, by what was wanting."""
    dropped: list[Growth] = []
    """Packets that it has dropped, by cause."""
    pid: int | None = None
    process: Literal["running", "starting", "waiting"] | None = None


class TargetStatus(msgspec.Struct, kw_only=True):
    """A target of a trunk as a NeTS of this host sees it."""

    trunk: str
    target: str
    """As configured, as a URI."""
    address: str
    """Where that is; empty while its name has not been found."""
    state: str
    """unknown, up, suspect, down."""
    why: str
    since: str
    """ISO 8601, UTC."""
    for_s: float


class ContactStatus(msgspec.Struct, kw_only=True):
    """A phone that has registered with a NeTS of this host."""

    user: str
    contact: str
    source: str
    """Where it registered from: its calls go there."""
    agent: str
    q: float
    expires_s: float
    connected: bool
    """False: the connection that it came by is closed."""


class ListenerStatus(msgspec.Struct, kw_only=True):
    """Where a NeTS listens."""

    listen: str
    """``192.0.2.11:5061/tls``"""
    connections: int | None = None
    """None with UDP."""
    certificate_until: str | None = None
    """ISO 8601, UTC; with TLS only."""


class NetsStatus(msgspec.Struct, kw_only=True):
    """A NeTS instance of this host."""

    name: str
    listen: list[str]
    """Each as ``192.0.2.11:5060/udp``."""
    calls: int
    ending: int = 0
    """Of those, how many are over for their parties, and wait for the last responses."""
    transactions: int = 0
    """SIP transactions that are not forgotten yet: a request is, half a minute after its response."""
    taking_calls: bool
    refuses: str | None = None
    """What a call that came now would be answered with; None: it would be taken."""
    listeners: list[ListenerStatus] = []
    """The same with what is there now."""
    turned_away: int = 0
    """Messages dropped unread since the start, because their sources had sent too many."""
    targets: list[TargetStatus] = []
    """Of the trunks, in their listed order."""
    registrations: list[RegistrationView] = []
    """Of the trunks that want one."""
    contacts: list[ContactStatus] = []
    """Where their phones are, by user."""


class ChangeStatus(msgspec.Struct, kw_only=True):
    """A media server's condition changed, as a NeTS of this host saw it."""

    server: str
    state: str
    why: str
    at: float
    """Seconds of this machine's monotonic clock."""
    when: str
    """ISO 8601, UTC."""


class NodeStatus(msgspec.Struct, kw_only=True):
    """One host of a site."""

    site: str
    host: str
    pid: int
    version: str
    for_s: float
    draining: bool
    nets: list[NetsStatus]
    servers: list[ServerStatus]
    changes: list[ChangeStatus]
    """The latest, oldest first."""
    domains: dict[str, list[str]]
    log_lines_dropped: int
    spare: bool = False
    """A process is ready to take the place of a media server's that dies."""


class Clocks(msgspec.Struct, frozen=True):
    """One moment on the clocks involved: wall time, and the monotonic clocks of the pool and of trio."""

    wall: float
    monotonic: float
    trio: float

    def iso(self, ago_s: float) -> str:
        """When it was ``ago_s`` seconds before this moment."""
        return datetime.fromtimestamp(self.wall - ago_s, UTC).isoformat(timespec="milliseconds")


def change_status(change: ServerChanged, now: Clocks) -> ChangeStatus:
    """One change with its time on both clocks."""
    return ChangeStatus(
        server=change.server,
        state=str(change.condition),
        why=change.why,
        at=change.since,
        when=now.iso(now.monotonic - change.since),
    )


def server_status(
    spec: MediaServerSpec,
    now: Clocks,
    *,
    view: ServerView | None,
    process: State | None,
    statistics: Statistics | None,
) -> ServerStatus:
    """Put together what the pool, the supervisor and the server itself say about one media server."""
    state, why, for_s = _condition(now, view, process)
    return ServerStatus(
        name=spec.name,
        host=spec.host,
        ng=str(spec.ng),
        interfaces=list(spec.interfaces),
        ports=spec.ports if spec.managed else None,
        managed=spec.managed,
        state=state,
        why=why,
        since=now.iso(for_s),
        for_s=round(for_s, 3),
        calls=view.calls if view is not None else None,
        sessions=_sessions(statistics, view),
        # The first is ours, the others are what rtpengine counts its streams by.
        streams=figures.count(statistics, "streams", "media_userspace", "media_kernel", "media_mixed"),
        rtt_ms=view.rtt_ms if view is not None else None,
        forwards=view.forwards if view is not None else None,
        datapath=figures.word(statistics, "datapath"),
        datapath_reason=figures.word(statistics, "datapathreason"),
        busy_percent=figures.percent(statistics, "busypermille"),
        expected_percent=figures.percent(statistics, "expectedpermille"),
        busy_percent_max=figures.percent(statistics, "busypermillemax"),
        sessions_max=figures.count(statistics, "sessionsmax"),
        ports_open=figures.count(statistics, "portsopen"),
        ports_max=figures.count(statistics, "portsmax"),
        packets_per_s=figures.count(statistics, "packetrate"),
        refuses=figures.word(statistics, "refuses"),
        refused=figures.grown(statistics, "refusedcalls", now.wall),
        dropped=figures.grown(statistics, "dropped", now.wall),
        pid=process.pid if isinstance(process, Starting | Running) else None,
        process=_process_word(process),
    )


def _sessions(statistics: Statistics | None, view: ServerView | None) -> int | None:
    """Calls by its own count. Ours leaves probes out; of a foreign one's count our own probe is taken off."""
    counted = figures.count(statistics, "sessionstotal")
    is_foreign = figures.word(statistics, "datapath") is None
    probed = view is not None and view.forwards is not None
    return max(0, counted - 1) if counted is not None and is_foreign and probed else counted


def nets_status(
    spec: NetsSpec,
    now: Clocks,
    *,
    calls: int,
    ending: int,
    transactions: int,
    refuses: str | None,
    listeners: Sequence[ListenerView],
    turned_away: int,
    targets: Sequence[TargetView],
    registrations: Sequence[RegistrationView],
    contacts: Sequence[ContactView],
) -> NetsStatus:
    """One NeTS instance."""
    return NetsStatus(
        name=spec.name,
        listen=[str(one) for one in spec.listeners],
        calls=calls,
        ending=ending,
        transactions=transactions,
        taking_calls=refuses is None,
        refuses=refuses,
        listeners=[_listener_status(view) for view in listeners],
        turned_away=turned_away,
        targets=[_target_status(view, now) for view in targets],
        registrations=list(registrations),
        contacts=[_contact_status(view) for view in contacts],
    )


def _listener_status(view: ListenerView) -> ListenerStatus:
    until = None
    if view.certificate_ends is not None:
        until = datetime.fromtimestamp(view.certificate_ends, UTC).isoformat(timespec="seconds")
    return ListenerStatus(listen=view.listen, connections=view.connections, certificate_until=until)


def _contact_status(view: ContactView) -> ContactStatus:
    return ContactStatus(
        user=view.user,
        contact=view.contact,
        source=view.source,
        agent=view.agent,
        q=view.q,
        expires_s=round(view.expires_s, 1),
        connected=view.connected,
    )


def _target_status(view: TargetView, now: Clocks) -> TargetStatus:
    for_s = max(0.0, now.monotonic - view.since)
    return TargetStatus(
        trunk=view.trunk,
        target=view.target,
        address=view.address,
        state=view.state.value,
        why=view.why,
        since=now.iso(for_s),
        for_s=round(for_s, 3),
    )


def _condition(now: Clocks, view: ServerView | None, process: State | None) -> tuple[str, str, float]:
    if view is not None:
        why = view.why
        if isinstance(process, Waiting):
            why = f"{why}; starts again in {max(0.0, process.until - now.trio):.1f} s" if why else process.why
        return view.condition.value, why, max(0.0, now.monotonic - view.since)
    if isinstance(process, Waiting):
        return "waiting", process.why, max(0.0, now.trio - process.since)
    if process is not None:
        return _process_word(process) or "", "", max(0.0, now.trio - process.since)
    return "unknown", "no NeTS of this host uses it", 0.0


def _process_word(process: State | None) -> Literal["running", "starting", "waiting"] | None:
    match process:
        case Running():
            return "running"
        case Starting():
            return "starting"
        case Waiting():
            return "waiting"
    return None
