"""The media-server processes of a host: started together, kept running, looked at, and told things."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable

import structlog
import trio

from mediaha.model.site import MediaServerSpec
from mediaha.ops.process import Died, KeptProcess, Running, StartFailed, State

log = structlog.get_logger("supervisor")


class Supervisor:
    """The media-server processes of this host. They live as long as the nursery."""

    def __init__(self, nursery: trio.Nursery, command: Callable[[MediaServerSpec], list[str]], died: Died) -> None:
        """``command`` gives the command line that runs a media server and speaks the protocol of ``ops.process``."""
        self._nursery = nursery
        self._command = command
        self._died = died
        self._kept: dict[str, KeptProcess] = {}

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

    async def start(self, spec: MediaServerSpec) -> None:
        """Start a process and keep it running; returns when it is ready. Raises StartFailed when it ends instead."""
        kept = self._kept[spec.name] = KeptProcess(spec, self._command(spec), self._died)
        try:
            await self._nursery.start(kept.keep)
        except BaseException:
            self._kept.pop(spec.name, None)
            raise

    def start_later(self, spec: MediaServerSpec) -> None:
        """Keep a process running without waiting for it; a failed start is tried again like an exit."""
        kept = self._kept[spec.name] = KeptProcess(spec, self._command(spec), self._died)
        self._nursery.start_soon(kept.keep)

    def stop(self, name: str) -> None:
        """End a process for good, for instance because the site no longer has it."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept.scope.cancel()

    def kill(self, name: str, why: str) -> bool:
        """End a process that does not do its work; it is started again. False when there is none running."""
        kept = self._kept.get(name)
        if kept is None or not isinstance(kept.state, Running):
            return False
        log.warning("killing a media server that hangs", server=name, pid=kept.state.pid, why=why)
        kept.kill()
        return True

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process; none is sent when it is not running."""
        kept = self._kept.get(name)
        if kept is not None and isinstance(kept.state, Running):
            kept.send(number)

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
