"""The media-server processes of a host: started together, kept running, looked at, and told things."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Sequence

import structlog
import trio

from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec
from mediaha.ops.kept import Died, KeptProcess, Running, StartFailed, State
from mediaha.ops.process import MediaProcess
from mediaha.ops.spares import Heritage, Spares

UPGRADE_S_MAX = 10.0
"""How long one server may take to be followed by a new process; the sound is interrupted for far less."""

log = structlog.get_logger("supervisor")


class UpgradeFailed(MediahaError):
    """A server was not followed by a new process; the text says which, and what became of it."""


class Supervisor:
    """The media-server processes of this host. They live as long as the nursery."""

    def __init__(
        self,
        nursery: trio.Nursery,
        command: Callable[[MediaServerSpec], list[str]],
        died: Died,
        heritage: Heritage | None = None,
    ) -> None:
        """``command`` gives the command line that runs a media server and speaks the protocol of ``ops.process``.

        With a ``heritage``, what a process leaves when it ends is taken over by a spare.
        """
        self._nursery = nursery
        self._command = command
        self._died = died
        self._heritage = heritage
        self._kept: dict[str, KeptProcess] = {}
        self._spares: Spares | None = None

    async def start_all(self, specs: Iterable[MediaServerSpec]) -> None:
        """Start the processes side by side; returns when all are ready. Raises StartFailed, one line a failure."""
        failures: list[str] = []

        async def start_one(spec: MediaServerSpec) -> None:
            try:
                await self.start(spec)
            except StartFailed as failure:
                failures.append(str(failure))

        async with trio.open_nursery() as starting:
            for spec in specs:
                starting.start_soon(start_one, spec)
        if failures:
            raise StartFailed("\n".join(failures))
        if self._kept:
            self._begin_spares()

    async def start(self, spec: MediaServerSpec) -> None:
        """Start a process and keep it running; returns when it is ready. Raises StartFailed when it ends instead."""
        kept = self._kept[spec.name] = self._keeping(spec)
        try:
            await self._nursery.start(kept.keep)
        except BaseException:
            self._kept.pop(spec.name, None)
            raise

    def start_later(self, spec: MediaServerSpec) -> None:
        """Keep a process running without waiting for it; a failed start is tried again like an exit."""
        kept = self._kept[spec.name] = self._keeping(spec)
        self._nursery.start_soon(kept.keep)
        self._begin_spares()

    def stop(self, name: str) -> None:
        """End a process for good, for instance because the site no longer has it."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept.scope.cancel()
            self.forget(name)

    def kill(self, name: str, why: str) -> bool:
        """End a process that does not do its work, with all that it has: a new one is started, which has nothing.

        False when there is none running.
        """
        kept = self._kept.get(name)
        if kept is None or not isinstance(kept.state, Running):
            return False
        log.warning("killing a media server that hangs", server=name, pid=kept.state.pid, why=why)
        self._lose(kept)
        return True

    def lose(self, name: str) -> bool:
        """Kill a process and let go of what it leaves: its calls are lost to it. False when there is none running."""
        kept = self._kept.get(name)
        if kept is None or not isinstance(kept.state, Running):
            return False
        log.warning("losing a media server with all that it has, as asked", server=name, pid=kept.state.pid)
        self._lose(kept)
        return True

    def _lose(self, kept: KeptProcess) -> None:
        kept.left_nothing("it was let go of")
        self.forget(kept.spec.name)
        kept.kill()

    async def upgrade(self, names: Sequence[str]) -> None:
        """Have these servers followed by processes started now, one after the other, without losing a packet.

        Raises UpgradeFailed, SpareFailed.
        """
        if self._heritage is None or self._spares is None:
            raise UpgradeFailed("this host runs no media server that another process could follow")
        await self._spares.renew()
        for name in names:
            await self._spares.wait_ready()
            await self._follow(name, self._heritage)

    async def _follow(self, name: str, heritage: Heritage) -> None:
        kept = self._kept.get(name)
        if kept is None or not isinstance(before := kept.state, Running):
            raise UpgradeFailed(f"the media server {name} does not run now; it will be new when it is started again")
        log.info("upgrading a media server", server=name, pid=before.pid)
        with trio.move_on_after(UPGRADE_S_MAX) as in_time:
            heritage.keeper.hand_over(name)
            await kept.followed(before.pid)
        if in_time.cancelled_caught:
            raise UpgradeFailed(f"the media server {name} has not stopped within {UPGRADE_S_MAX:.0f} s; see the log")

    # What the processes that exit have left; see ``ops.kept.Succession``.

    @property
    def takeover_s_max(self) -> float:
        """How long a server may be without a process before its calls are lost to it."""
        return self._heritage.takeover_s_max if self._heritage is not None else 0.0

    def begins(self, server: str, why: str) -> None:
        """A server's process is gone, and a spare is to go on."""
        if self._heritage is not None:
            self._heritage.begins(server, why, self._heritage.takeover_s_max)

    def forget(self, server: str) -> None:
        """Nobody will go on with it."""
        if self._heritage is not None:
            self._heritage.keeper.forget(server)

    def _keeping(self, spec: MediaServerSpec) -> KeptProcess:
        return KeptProcess(spec, self._start_process, self._died, self if self._heritage is not None else None)

    async def _start_process(self, spec: MediaServerSpec) -> MediaProcess:
        line = None
        if self._heritage is not None:
            line = self._heritage.keeper.line(spec.name, self._heritage.words(spec))
        process = MediaProcess(spec.name, self._command(spec), line)
        await self._nursery.start(process.run)
        return process

    def _begin_spares(self) -> None:
        if self._heritage is None or self._spares is not None:
            return
        self._spares = Spares(self._nursery, self._heritage, self._given, self._lost)
        self._nursery.start_soon(self._spares.listen)
        self._nursery.start_soon(self._spares.keep)

    def _given(self, server: str, heir: MediaProcess) -> None:
        if server in self._kept:
            self._kept[server].succeeded_by(heir)
        else:
            heir.end()

    def _lost(self, server: str, why: str) -> None:
        if server in self._kept:
            self._kept[server].left_nothing(why)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process; none is sent when it is not running."""
        kept = self._kept.get(name)
        if kept is not None and isinstance(kept.state, Running):
            kept.send(number)

    @property
    def spare_ready(self) -> bool:
        """Whether a process could take another one's place at once."""
        return self._spares is not None and self._spares.ready

    def states(self) -> dict[str, State]:
        """Where each process is now, by name."""
        return {name: kept.state for name, kept in self._kept.items()}

    def specs(self) -> dict[str, MediaServerSpec]:
        """What each process was started as, by name."""
        return {name: kept.spec for name, kept in self._kept.items()}


def media_command(spec: MediaServerSpec, *, drain_s: float, log_level: str) -> list[str]:
    """The command line that runs ``spec`` with this very Python."""
    command = [sys.executable, "-m", "mediaha", "serve", "--role", "media", "--supervised"]
    command += ["--name", spec.name, "--listen-ng", str(spec.ng), "--ports", f"{spec.ports[0]}-{spec.ports[1]}"]
    for interface in spec.interfaces:
        command += ["--interface", interface]
    command += ["--workers", str(spec.workers), "--sessions-max", str(spec.sessions_max)]
    command += ["--silence-seconds", str(spec.silence_s_max), "--held-seconds", str(spec.held_s_max)]
    command += ["--busy-percent-max", str(spec.busy_percent_max), "--dscp", str(spec.dscp)]
    command += ["--orphan-seconds", str(spec.orphan_s_max), "--datapath", spec.datapath]
    return [*command, "--drain-seconds", str(drain_s), "--log-format", "json", "--log-level", log_level]


def spare_command(*, drain_s: float, log_level: str) -> list[str]:
    """The command line that runs a spare with this very Python."""
    command = [sys.executable, "-m", "mediaha", "serve", "--role", "media", "--supervised", "--spare"]
    return [*command, "--drain-seconds", str(drain_s), "--log-format", "json", "--log-level", log_level]
