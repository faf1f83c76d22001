"""Run the host of a site, with logs set up and the first screen shown when it is ready."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import trio

from mediaha.cli import plan
from mediaha.cli.complaints import complain
from mediaha.cli.firstscreen import print_first_screen
from mediaha.cli.options import Logs, drain_s_of
from mediaha.model.site import Site
from mediaha.node.host import Node, NodeOptions
from mediaha.ops.logs import log_to, stderr_format
from mediaha.ops.sockets import path_to_serve
from mediaha.tca import SiteMistakes, certificate_mistakes, load_site, secret_warnings
from mediaha.tca.mistakes import placed


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
    seconds = drain_s_of(drain_s, site.timings.drain_s_max)
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
