"""What may be asked on the control socket of a host, answered from its running parts."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import trio

from mediaha.model.errors import MediahaError
from mediaha.model.listener import ListenerView
from mediaha.model.media import ServerChanged, ServerView
from mediaha.model.site import MediaServerSpec, NetsSpec, Site
from mediaha.model.trunk import RegistrationView, TargetView
from mediaha.model.user import ContactView
from mediaha.ops.control import Request, Verb
from mediaha.ops.inquiry import statistics_of
from mediaha.ops.kept import State
from mediaha.ops.status import Clocks, NetsStatus, NodeStatus, change_status, nets_status, server_status
from mediaha.ops.tracing import TraceBegun, TracedNow, Tracing
from mediaha.sip.trace import Traced
from mediaha.tca.mistakes import did_you_mean, hinted


class UnknownServer(MediahaError):
    """No media server has this name."""


class UnknownCall(MediahaError):
    """No NeTS of this host knows the call, now or from its recent past."""


class TooBusy(MediahaError):
    """It could not be done now, and can be in a moment."""


class ControlledNets(Protocol):
    """A NeTS instance, as far as the control socket asks it."""

    @property
    def spec(self) -> NetsSpec: ...

    def calls(self) -> int:
        """How many calls it has."""
        ...

    def ending(self) -> int:
        """How many of them are over for their parties, and wait for the last responses."""
        ...

    def transactions(self) -> int:
        """SIP transactions that are not forgotten yet."""
        ...

    def refuses(self) -> str | None:
        """What a call that came now would be answered with; None: it would be taken."""
        ...

    def explain(self, call_id: str) -> object | None:
        """The story of a call; None when it knows none by this name."""
        ...

    def listeners(self) -> tuple[ListenerView, ...]:
        """Where it listens, and how much that is used."""
        ...

    def turned_away(self) -> int:
        """Messages that were dropped unread since the start."""
        ...

    def trace(self, name: str, wanted: str, seconds: float) -> bool:
        """Keep the messages of a call from now on; whether the call is known. Raises MediahaError."""
        ...

    def traced(self, name: str) -> tuple[tuple[Traced, ...], int] | None:
        """The messages since this was asked last, and how many were lost; None: the trace is over."""
        ...

    def untrace(self, name: str) -> None: ...
    def under_way(self, name: str) -> bool:
        """Whether a call of this name is there."""
        ...

    def targets(self) -> tuple[TargetView, ...]:
        """The targets of the trunks, as it sees them."""
        ...

    def registrations(self) -> tuple[RegistrationView, ...]:
        """Where it has registered with carriers."""
        ...

    def contacts(self) -> tuple[ContactView, ...]:
        """Where the users' phones are."""
        ...

    def servers(self) -> tuple[ServerView, ...]:
        """The media servers as its pool sees them."""
        ...

    def changes(self) -> tuple[ServerChanged, ...]:
        """How they changed lately, oldest first."""
        ...


class ControlledHost(Protocol):
    """A running host, as far as the control socket asks it."""

    @property
    def name(self) -> str: ...
    @property
    def site(self) -> Site: ...
    @property
    def began(self) -> float:
        """When it was started, on the monotonic clock."""
        ...

    @property
    def draining(self) -> bool: ...
    @property
    def log_lines_dropped(self) -> int: ...
    @property
    def spare_ready(self) -> bool:
        """Whether a process could take the place of a media server's at once."""
        ...

    def media(self) -> Sequence[MediaServerSpec]:
        """Every media server of the site, also those that are leaving it."""
        ...

    def nets(self) -> Sequence[ControlledNets]: ...
    def processes(self) -> dict[str, State]:
        """Where each media server of this host is, by name."""
        ...

    def drain_server(self, name: str, *, draining: bool) -> bool:
        """False when it could not be done now."""
        ...

    def lose_server(self, name: str) -> bool:
        """Kill a media server of this host and let go of its calls. False when it does not run."""
        ...

    async def upgrade(self, names: Sequence[str]) -> None:
        """Have media servers of this host followed by new processes. Raises MediahaError."""
        ...

    def stop(self, why: str) -> None: ...


def verbs(host: ControlledHost) -> dict[str, Verb]:
    """Each verb with the function that answers it."""

    async def status(_request: Request) -> NodeStatus:
        return await _status(host)

    async def explain(request: Request) -> object:
        return _explain(host, request)

    async def drain(request: Request) -> object:
        return _drain(host, request)

    async def upgrade(request: Request) -> object:
        return await _upgrade(host, request)

    async def lose(request: Request) -> object:
        return _lose(host, request)

    async def stop(_request: Request) -> object:
        host.stop("asked on the control socket")
        return {"stopping": True}

    tracing = Tracing(host.nets)

    async def trace(request: Request) -> TraceBegun:
        return tracing.begin(request)

    async def traced(request: Request) -> TracedNow:
        return tracing.take(request)

    async def untrace(request: Request) -> object:
        return tracing.end(request)

    traces: dict[str, Verb] = {"trace": trace, "traced": traced, "untrace": untrace}
    servers: dict[str, Verb] = {"drain": drain, "upgrade": upgrade, "lose": lose}
    return traces | servers | {"status": status, "explain": explain, "stop": stop}


async def _status(host: ControlledHost) -> NodeStatus:
    counted = await statistics_of({spec.name: spec.ng for spec in host.media()})
    now = Clocks(time.time(), time.monotonic(), trio.current_time())
    views = {view.name: view for nets in host.nets() for view in nets.servers()}
    processes = host.processes()
    servers = [
        server_status(
            spec,
            now,
            view=views.get(spec.name),
            process=processes.get(spec.name),
            statistics=counted.get(spec.name),
        )
        for spec in host.media()
    ]
    return NodeStatus(
        site=host.site.name,
        host=host.name,
        pid=os.getpid(),
        version=_version(),
        for_s=round(now.monotonic - host.began, 3),
        draining=host.draining,
        nets=[_nets(nets, now) for nets in host.nets()],
        servers=servers,
        changes=[change_status(change, now) for nets in host.nets() for change in nets.changes()],
        domains={domain.name: list(domain.media) for domain in host.site.domains},
        log_lines_dropped=host.log_lines_dropped,
        spare=host.spare_ready,
    )


def _nets(nets: ControlledNets, now: Clocks) -> NetsStatus:
    return nets_status(
        nets.spec,
        now,
        calls=nets.calls(),
        ending=nets.ending(),
        transactions=nets.transactions(),
        refuses=nets.refuses(),
        listeners=nets.listeners(),
        turned_away=nets.turned_away(),
        targets=nets.targets(),
        registrations=nets.registrations(),
        contacts=nets.contacts(),
    )


def _explain(host: ControlledHost, request: Request) -> object:
    call_id = request.get("call_id")
    if not isinstance(call_id, str):
        raise UnknownCall("explain needs a call_id")
    for nets in host.nets():
        if (story := nets.explain(call_id)) is not None:
            return story
    raise UnknownCall(f"no call {call_id!r} is known here; stories are kept of recent calls only")


def _drain(host: ControlledHost, request: Request) -> object:
    name = request.get("server")
    known = [spec.name for spec in host.media()]
    if not isinstance(name, str) or name not in known:
        raise UnknownServer(hinted(f"there is no media server {name!r}", did_you_mean(str(name), known)))
    if not host.nets() and name not in host.processes():
        raise UnknownServer(f"neither {name!r} nor a NeTS that uses it runs on this host; ask on one where it does")
    draining = request.get("draining", True) is True
    if not host.drain_server(name, draining=draining):
        raise TooBusy("the failover pool has too much to do to take the command; try again")
    return {"server": name, "draining": draining}


def _lose(host: ControlledHost, request: Request) -> object:
    """For drills: what becomes of the calls when a server is gone with all that it has."""
    name = request.get("server")
    if not isinstance(name, str) or not host.lose_server(name):
        raise UnknownServer(f"no media server {name!r} runs on this host now")
    return {"server": name}


async def _upgrade(host: ControlledHost, request: Request) -> object:
    known = sorted(host.processes())
    name = request.get("server")
    if name is not None and name not in known:
        raise UnknownServer(hinted(f"no media server {name!r} runs on this host", did_you_mean(str(name), known)))
    names = known if name is None else [str(name)]
    await host.upgrade(names)
    return {"servers": names}


def _version() -> str:
    try:
        return version("mediaha")
    except PackageNotFoundError:
        return "source"
