"""Run one media server as a process: alone at a terminal, or kept by a supervisor (see ``ops.supervisor``)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import structlog
import trio

from mediaha.model.site import MediaServerSpec
from mediaha.ops.ports import Wanted, check_ports, check_ranges
from mediaha.ops.shutdown import Shutdown, heed_signals

LOOK_S = 0.1

log = structlog.get_logger("media")


class Relay(Protocol):
    """A media server that runs, as far as its process looks after it."""

    def drain(self, draining: bool = True) -> None:
        """Refuse new calls, or take them again."""
        ...

    def statistics(self) -> Mapping[str, object]:
        """What it has; ``sessions`` is the number of calls."""
        ...


Start = Callable[[trio.Nursery], Awaitable[Relay]]
"""Starts the media server in a nursery and returns when it relays."""


async def run_relay(
    spec: MediaServerSpec,
    start: Start,
    *,
    drain_s: float,
    supervised: bool,
    kept: bool = False,
    ready: Callable[[], None],
) -> None:
    """Relay until asked to stop; ``ready`` is called when calls can come.

    ``kept``: what it leaves is kept, so that its port may be, for it. Raises MediahaError, with a sentence for the
    person, when it cannot be started.
    """
    if not kept:
        check_ports([Wanted(f"media server {spec.name}", spec.ng, "--listen-ng")])
        check_ranges([spec])
    async with trio.open_nursery() as nursery:
        running = await start(nursery)
        shutdown = Shutdown(nursery.cancel_scope, lambda: _drained(running, drain_s))
        nursery.start_soon(shutdown.run)
        nursery.start_soon(_heed_drains, running)
        await nursery.start(heed_signals, shutdown, None)
        if supervised:
            nursery.start_soon(end_with_supervisor, nursery.cancel_scope)
        ready()
        await trio.sleep_forever()


def say(word: object) -> None:
    """One JSON line for the supervisor, if it still listens."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), msgspec.json.encode(word) + b"\n")


async def _drained(running: Relay, within_s: float) -> None:
    """Refuse new calls and wait until those that are there have ended, but no longer than ``within_s``."""
    running.drain()
    with trio.move_on_after(within_s):
        while running.statistics().get("sessions"):  # noqa: ASYNC110 - the relay is Rust; nobody could set an event
            await trio.sleep(LOOK_S)
        return
    log.warning("stopping with calls", sessions=running.statistics().get("sessions"))


async def _heed_drains(running: Relay) -> None:
    """SIGUSR1: take no new calls; SIGUSR2: take them again."""
    with trio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
        async for number in signals:
            running.drain(number == signal.SIGUSR1)
            log.info("draining" if number == signal.SIGUSR1 else "taking calls again")


async def end_with_supervisor(scope: trio.CancelScope) -> None:
    """Standard input ends when the supervisor closes it or is gone: then nobody will restart or stop us."""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as lifeline:
        while await lifeline.receive_some(4096):
            pass
    scope.cancel()
