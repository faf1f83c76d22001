"""Run what ``mediaha serve`` was asked to run, with logs set up and the first screen shown when it is ready."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from mediaha.cli import plan
from mediaha.cli.complaints import FAILED, complain, sentences_of
from mediaha.cli.firstscreen import print_first_screen
from mediaha.model.site import MediaServerSpec, Site
from mediaha.node import Node, NodeOptions, run_media, run_spare
from mediaha.ops.levels import LogFormat, LogLevel
from mediaha.ops.logs import log_to, stderr_format
from mediaha.ops.relay import say
from mediaha.ops.sockets import path_to_serve
from mediaha.tca import SiteMistakes, certificate_mistakes, load_site, secret_warnings
from mediaha.tca.mistakes import placed


@dataclass(frozen=True, slots=True)
class Logs:
    """How logs are written; no format means what suits standard error."""

    form: LogFormat | None
    level: LogLevel


def run_standalone(site: Site, logs: Logs, *, control: Path | None, drain_s: float | None) -> int:
    """The site without a file."""
    return _run_node(
        site,
        site.hosts[0].name,
        logs,
        control=control,
        drain_s=drain_s,
        change_by=("--listen", "--ng-port"),
        reload=None,
    )


def run_host_of(file: Path, named: str | None, logs: Logs, *, control: Path | None, drain_s: float | None) -> int:
    """One host of the site in ``file``. Raises SiteMistakes, BadOption."""
    site, warnings = load_site(file)
    for warning in warnings:
        complain(placed(str(file), warning))
    host = plan.host_of(site, named)
    mistakes = (*certificate_mistakes(file, site, host), *secret_warnings(file, site, host))
    if any(not mistake.warning for mistake in mistakes):
        raise SiteMistakes(str(file), mistakes)
    for mistake in mistakes:
        complain(placed(str(file), mistake))
    change_by = (f"listen in its [[nets]] table of {file}", f"ng in its [[media]] table of {file}")
    again = file.absolute()
    return _run_node(
        site,
        host,
        logs,
        control=control,
        drain_s=drain_s,
        change_by=change_by,
        reload=lambda: load_site(again)[0],
    )


def run_one_media_server(
    spec: MediaServerSpec, logs: Logs, *, drain_s: float | None, supervised: bool, line: int | None
) -> int:
    """One media server in this process. Under a supervisor, standard output carries the one line it waits for."""
    seconds = spec_drain(drain_s)

    def ready() -> None:
        if supervised:
            _say_ready(spec)
        else:
            interfaces = ", ".join(spec.interfaces)
            print(
                f"media server {spec.name}: ng on {spec.ng}/udp, RTP on {interfaces}, {spec.ports[0]}-{spec.ports[1]}"
            )
            print("Ctrl-C ends it when its calls have ended; twice, at once.", flush=True)

    async def main() -> None:
        await run_media(spec, drain_s=seconds, supervised=supervised, line=line, ready=ready)

    return _run_media(main, logs, supervised=supervised)


def run_spare_media_server(logs: Logs, *, drain_s: float | None, line: int) -> int:
    """A process that becomes a media server when one has lost its own."""
    seconds = spec_drain(drain_s)

    async def main() -> None:
        await run_spare(drain_s=seconds, line=line, ready=_say_ready)

    return _run_media(main, logs, supervised=True)


def _say_ready(spec: MediaServerSpec) -> None:
    say({"ready": {"name": spec.name, "ng": str(spec.ng)}})


def _run_media(main: Callable[[], Awaitable[None]], logs: Logs, *, supervised: bool) -> int:
    with log_to(sys.stderr.fileno(), logs.form or stderr_format(), logs.level):
        try:
            trio.run(main)
        except Exception as error:
            sentences = sentences_of(error)
            if not supervised or sentences is None:
                raise
            say({"failed": "\n".join(sentences)})
            return FAILED
    return 0


def spec_drain(drain_s: float | None, default: float = 30.0) -> float:
    """The option if it was given."""
    return default if drain_s is None else max(0.0, drain_s)


def _run_node(
    site: Site,
    host: str,
    logs: Logs,
    *,
    control: Path | None,
    drain_s: float | None,
    change_by: tuple[str, str],
    reload: Callable[[], Site] | None,
) -> int:
    socket_path = control or path_to_serve()
    seconds = spec_drain(drain_s, site.timings.drain_s_max)
    with log_to(sys.stderr.fileno(), logs.form or stderr_format(), logs.level) as sink:
        options = NodeOptions(
            host=host,
            control=socket_path,
            drain_s=seconds,
            log_level=logs.level,
            reload=reload,
            log_lines_dropped=lambda: sink.dropped,
            change_listen_by=change_by[0],
            change_ng_by=change_by[1],
        )

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                node: Node = await nursery.start(Node(site, options).run)
                _spare_the_collector()
                print_first_screen(node, socket_path, control is not None, seconds)

        trio.run(main)
    return 0


def _spare_the_collector() -> None:
    """Keep Python's garbage collector from stopping all calls at once.

    A full collection looks at every object of the process, and took 50 ms, most of it over modules and tables that
    are there for good: these are left out from now on. Calls are freed by their reference counts. What is left to be
    found are cycles, such as an exception and its traceback; they are few, so the search for them may be rare.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 20, 50)


YOUNG_MAX = 20_000
"""Objects made, less those that were freed, between two searches among the young ones; Python's own value is 700."""
