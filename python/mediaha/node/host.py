"""One host of a site, running.

A host has the media servers that the site assigns to it, as processes of their own, and its NeTS instances, each
with a failover pool of its own, in this process. The control socket answers for all of them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import trio

from mediaha.model.errors import MediahaError
from mediaha.model.listener import UDP
from mediaha.model.media import ServerCondition
from mediaha.model.sip import SipSettings
from mediaha.model.site import MediaServerSpec, NetsSpec, Site
from mediaha.node.session import CurrentRoutes, Session
from mediaha.ops.change import change
from mediaha.ops.control import serve_control
from mediaha.ops.files import room_for
from mediaha.ops.kept import Running, State
from mediaha.ops.ports import PortsUnavailable, Wanted, check_ports, check_ranges
from mediaha.ops.shutdown import Shutdown, heed_signals
from mediaha.ops.spares import Heritage
from mediaha.ops.supervisor import Supervisor, media_command, spare_command
from mediaha.ops.verbs import verbs
from mediaha.tca.mistakes import SiteMistakes

if TYPE_CHECKING:
    from mediaha.failover import MediaPool
    from mediaha.nets import Nets

HOUSEKEEPING_S = 1.0

log = structlog.get_logger("node")


class NothingToRun(MediahaError):
    """The site has nothing for this host."""


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a host is run, beside what the site says."""

    host: str
    control: Path
    drain_s: float
    log_level: str = "info"
    reload: Callable[[], Site] | None = None
    """Reads the site file again. Raises SiteMistakes."""
    log_lines_dropped: Callable[[], int] = lambda: 0
    change_listen_by: str = "listen in its [[nets]] table"
    change_ng_by: str = "ng in its [[media]] table"


class Node:
    """A host of a site. ``run`` starts it and returns when it has stopped."""

    def __init__(self, site: Site, options: NodeOptions) -> None:
        self.name = options.host
        self.site = site
        self.began = time.monotonic()
        self._options = options
        self._routes = CurrentRoutes(site)
        self._sessions: list[Session] = []
        self._pools: list[MediaPool] = []
        self._leaving: dict[str, MediaServerSpec] = {}
        """Media servers that a reload took out of the site and that still have calls."""
        self._pools_are_behind = False
        """Whether a pool has not taken the newest media servers yet."""
        self._supervisor: Supervisor
        self._shutdown: Shutdown

    async def run(self, *, task_status: trio.TaskStatus[Node] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until asked to stop. ``started()`` when every part is ready.

        Raises MediahaError, with a sentence for the person, when a part cannot be started.
        """
        ours, nets = self._assigned()
        check_ports([*self._nets_ports(nets), *self._media_ports(ours)])
        check_ranges(ours)
        async with trio.open_nursery() as attentive:
            # Signals are heard to the end: one that ended us while we end processes would leave those that hang.
            await self._run(ours, nets, attentive, task_status)
            attentive.cancel_scope.cancel()

    async def _run(
        self,
        ours: Sequence[MediaServerSpec],
        nets: Sequence[NetsSpec],
        attentive: trio.Nursery,
        task_status: trio.TaskStatus[Node],
    ) -> None:
        async with AsyncExitStack() as kept, trio.open_nursery() as nursery, AsyncExitStack() as pools:
            heritage = kept.enter_context(self._heritage()) if ours else None
            self._supervisor = Supervisor(nursery, self._media_command, self._died, heritage)
            self._shutdown = Shutdown(nursery.cancel_scope, self._drain_calls)
            nursery.start_soon(self._shutdown.run)
            await attentive.start(heed_signals, self._shutdown, self._reload if self._options.reload else None)
            await nursery.start(serve_control, self._options.control, verbs(self))
            await self._supervisor.start_all(ours)
            for spec in nets:
                self._sessions.append(await self._start_nets(spec, nursery, pools))
            nursery.start_soon(self._keep_house)
            task_status.started(self)
            await trio.sleep_forever()

    def _assigned(self) -> tuple[list[MediaServerSpec], list[NetsSpec]]:
        ours = [media for media in self.site.media if media.managed and media.host == self.name]
        nets = [nets for nets in self.site.nets if nets.host == self.name]
        if not ours and not nets:
            raise NothingToRun(f"the site {self.site.name!r} assigns nothing to host {self.name!r}")
        return ours, nets

    async def _start_nets(self, spec: NetsSpec, nursery: trio.Nursery, pools: AsyncExitStack) -> Session:
        from mediaha.failover import open_pool  # noqa: PLC0415 - a host of media servers alone needs neither
        from mediaha.nets import Limits, serve_nets  # noqa: PLC0415 - as above
        from mediaha.ops.phonebook import open_phonebook  # noqa: PLC0415 - as above

        pool = await pools.enter_async_context(open_pool(self.site.media, self.site.timings))
        self._pools.append(pool)
        site = self.site
        limits = Limits.of(site.timings, site.sip)
        book = await pools.enter_async_context(open_phonebook(site, spec.name))
        serve = partial(serve_nets, limits=limits, sip=self._sip(), name_servers=site.name_servers, phones=book.phones)
        try:
            running: Nets = await nursery.start(serve, spec, self._routes, pool)
        except OSError as error:
            # Somebody has taken the port since it was checked: starting the media servers takes a moment.
            check_ports(self._nets_ports([spec]))
            raise PortsUnavailable(f"NeTS {spec.name} cannot listen: {error.strerror or error}") from error
        return Session(spec, running, pool, book)

    def _sip(self) -> SipSettings:
        """What the site says about SIP, with no more connections than this process may have files."""
        sip = self.site.sip
        listeners = [one for nets in self.site.nets if nets.host == self.name for one in nets.listeners]
        streams = sum(one.transport != UDP for one in listeners)
        if not streams:
            return sip
        each = max(1, room_for(streams * sip.connections_max) // streams)
        if each < sip.connections_max // 2:
            what = "fewer connections than connections_max: this process may have too few files (ulimit -n)"
            log.warning(what, connections_max=sip.connections_max, of_each_listener=each)
        return replace(sip, connections_max=each)

    def _media_command(self, spec: MediaServerSpec) -> list[str]:
        return media_command(spec, drain_s=self._options.drain_s, log_level=self._options.log_level)

    @contextmanager
    def _heritage(self) -> Iterator[Heritage]:
        """What media-server processes leave is kept while the block lasts."""
        from mediaha.media import start_keeper, words_for  # noqa: PLC0415 - a host without media servers needs neither

        keeper = start_keeper()
        command = spare_command(drain_s=self._options.drain_s, log_level=self._options.log_level)
        try:
            takeover_s_max = self.site.timings.takeover_ms_max / 1000
            yield Heritage(keeper, command, words_for, self._succeeding, takeover_s_max)
        finally:
            keeper.close()

    def _nets_ports(self, nets: Iterable[NetsSpec]) -> list[Wanted]:
        change_by = self._options.change_listen_by
        return [
            Wanted(f"NeTS {spec.name}", one.address, change_by, stream=one.transport != UDP)
            for spec in nets
            for one in spec.listeners
        ]

    def _media_ports(self, media: Iterable[MediaServerSpec]) -> list[Wanted]:
        return [Wanted(f"media server {spec.name}", spec.ng, self._options.change_ng_by) for spec in media]

    # While it runs.

    def _died(self, server: str, why: str) -> None:
        self._tell_pools(lambda pool: pool.died(server, why))

    def _succeeding(self, server: str, why: str, within_s: float) -> None:
        self._tell_pools(lambda pool: pool.succeeding(server, why, within_s))

    async def _keep_house(self) -> None:
        while True:
            await trio.sleep(HOUSEKEEPING_S)
            self._end_what_hangs()
            self._let_go_of_what_is_empty()
            if self._pools_are_behind:
                self._configure_pools()

    def _end_what_hangs(self) -> None:
        """A process of ours that lives and has long been dead to the pool will not come back by itself."""
        limit = self.site.timings.hang_s_max
        states = self._supervisor.states()
        for view in (view for session in self._sessions for view in session.servers()):
            state = states.get(view.name)
            if not isinstance(state, Running) or view.condition is not ServerCondition.DEAD:
                continue
            if time.monotonic() - view.since > limit and trio.current_time() - state.since > limit:
                self._supervisor.kill(view.name, f"dead to the pool for {limit:g} s: {view.why}")

    def _let_go_of_what_is_empty(self) -> None:
        busy = {view.name for session in self._sessions for view in session.servers() if view.calls}
        for name in self._leaving.keys() - busy:
            log.info("media server leaves the site: its last call is over", server=name)
            del self._leaving[name]
            self._supervisor.stop(name)
            self._configure_pools()

    async def _drain_calls(self) -> None:
        async with trio.open_nursery() as nursery:
            for session in self._sessions:
                nursery.start_soon(session.running.drain, self._options.drain_s)

    # A new site file.

    async def _reload(self) -> None:
        assert self._options.reload is not None
        for session in self._sessions:
            session.running.renew_certificates()
        try:
            # In a thread: a file with thousands of users takes a second to read, and calls go on meanwhile.
            site = await trio.to_thread.run_sync(self._options.reload)
            step = change(self.site, site, self.name, self._supervisor.specs(), self._leaving)
            check_ports(self._media_ports(step.start))
        except MediahaError as error:
            mistakes = error.lines() if isinstance(error, SiteMistakes) else str(error).splitlines()
            log.error("the site file cannot be used; the one before stays in force", mistakes=mistakes)  # noqa: TRY400 - a person's
            return
        self.site = self._routes.site = step.site
        for session in self._sessions:
            await session.book.configure(step.site.users)
        self._leaving |= {spec.name: spec for spec in step.leave}
        for name in step.stay:
            del self._leaving[name]
            self.drain_server(name, draining=False)
        for spec in step.leave:
            self.drain_server(spec.name, draining=True)
        for spec in step.start:
            self._supervisor.start_later(spec)
        self._configure_pools()
        log.info("the site file was read again", domains=len(step.site.domains), media=len(step.site.media))
        if step.next_start:
            log.warning("these changes take effect at the next start", changed=list(step.next_start))

    def _configure_pools(self) -> None:
        servers = self.media()
        self._pools_are_behind = not self._tell_pools(lambda pool: pool.configure(servers))

    def _tell_pools(self, tell: Callable[[MediaPool], None]) -> bool:
        """Give each pool a command. False when one could not take it: that is logged and ends nothing."""
        taken = True
        for pool in self._pools:
            try:
                tell(pool)
            except MediahaError as error:
                log.warning("a failover pool could not take a command", why=str(error))
                taken = False
        return taken

    # What a person asks, see ``mediaha.ops.verbs.ControlledHost``.

    @property
    def draining(self) -> bool:
        """Whether it has been asked to stop."""
        return self._shutdown.draining

    @property
    def log_lines_dropped(self) -> int:
        """Log lines that could not be written."""
        return self._options.log_lines_dropped()

    @property
    def spare_ready(self) -> bool:
        """Whether a process could take the place of a media server's at once."""
        return self._supervisor.spare_ready

    def media(self) -> Sequence[MediaServerSpec]:
        """Every media server of the site, also those that are leaving it."""
        return [*self.site.media, *self._leaving.values()]

    def nets(self) -> Sequence[Session]:
        """The NeTS instances of this host."""
        return self._sessions

    def processes(self) -> dict[str, State]:
        """Where each media server of this host is, by name."""
        return self._supervisor.states()

    def drain_server(self, name: str, *, draining: bool) -> bool:
        """Tell our pools, and the server itself when it is ours, so that the pools of other hosts see it.

        False when a pool could not take it now.
        """
        log.info("media server drains" if draining else "media server takes calls again", server=name)
        self._supervisor.send(name, signal.SIGUSR1 if draining else signal.SIGUSR2)
        return self._tell_pools(lambda pool: pool.drain(name, draining))

    def lose_server(self, name: str) -> bool:
        """Kill a media server of this host and let go of its calls, for a drill. False when it does not run."""
        return self._supervisor.lose(name)

    async def upgrade(self, names: Sequence[str]) -> None:
        """Have media servers of this host followed by new processes, without losing a packet. Raises MediahaError."""
        await self._supervisor.upgrade(names)

    def stop(self, why: str) -> None:
        """Stop politely; asked a second time, at once."""
        self._shutdown.ask(why)
