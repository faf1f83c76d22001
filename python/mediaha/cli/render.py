"""Answers of the control socket as tables for people and as JSON for scripts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mediaha.model.trunk import RegistrationView
from mediaha.ops.status import NetsStatus, NodeStatus, ServerStatus

COLOURS = {
    "usable": "green",
    "up": "green",
    "running": "green",
    "suspect": "yellow",
    "recovering": "yellow",
    "draining": "yellow",
    "starting": "yellow",
    "dead": "red",
    "down": "red",
    "waiting": "red",
}


def print_json(answer: object) -> None:
    """The answer as it came, one indented JSON document."""
    print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def print_status(answer: object) -> None:
    """A host: its NeTS instances in a line each, its media servers and the targets of its trunks in tables."""
    status = msgspec.convert(answer, NodeStatus)
    console = wide_console()
    state = "draining: no new calls" if status.draining else f"up for {duration(status.for_s)}"
    console.print(f"site {status.site}, host {status.host}, process {status.pid}, {state}")
    for nets in status.nets:
        calls = _counted(nets.calls, "call") + (f" ({nets.ending} ending)" if nets.ending else "")
        taking = "" if nets.taking_calls else ", takes no calls"
        console.print(f"NeTS {nets.name} on {', '.join(_places(nets))}: {calls}{taking}")
        if nets.turned_away:
            said = f"{_counted(nets.turned_away, 'message')} dropped unread: their sources sent too many"
            console.print(said, style="yellow")
    if status.log_lines_dropped:
        console.print(f"{_counted(status.log_lines_dropped, 'log line')} could not be written", style="yellow")
    console.print(_servers(status.servers))
    for line in datapaths(status.servers):
        console.print(line)
    for nets in status.nets:
        if nets.targets:
            console.print(_targets(nets))
        for one in nets.registrations:
            console.print(_registration(one))
        if nets.contacts:
            console.print(_contacts(nets))


def _places(nets: NetsStatus) -> Iterator[str]:
    for one in nets.listeners:
        facts = [] if one.connections is None else [_counted(one.connections, "connection")]
        if one.certificate_until is not None:
            facts.append(f"certificate until {one.certificate_until[:10]}")
        yield f"{one.listen} ({', '.join(facts)})" if facts else one.listen


def wide_console() -> Console:
    """As wide as the terminal; wide enough to break no line when the output goes to a file or a pipe.

    What stands in brackets is printed as it is: ``[fd00::1]:5060`` is no markup.
    """
    width = max(shutil.get_terminal_size().columns, TABLE_WIDTH) if sys.stdout.isatty() else PIPE_WIDTH
    return Console(highlight=False, markup=False, width=width)


PIPE_WIDTH = 200
TABLE_WIDTH = 100
"""On a narrower terminal the lines of a table are broken by the terminal, which is better than values cut off."""


def _servers(servers: list[ServerStatus]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("media server", "state", "for", "calls", "streams", "rtt", "datapath", "process"):
        table.add_column(heading, justify="right" if heading in NUMERIC else "left", no_wrap=True)
    table.add_column("why", overflow="fold")
    for server in servers:
        table.add_row(
            server.name,
            Text(server.state, style=COLOURS.get(server.state, "")),
            duration(server.for_s),
            _or_dash(server.calls if server.calls is not None else server.sessions),
            _or_dash(server.streams),
            f"{server.rtt_ms:.1f} ms" if server.rtt_ms is not None else "-",
            server.datapath or "-",
            _process(server),
            server.why,
        )
    return table


def datapaths(servers: Sequence[ServerStatus]) -> Iterator[str]:
    """What forwards the packets of each server, and why: a line for all of which the same is to be said."""
    alike: dict[tuple[str, str], list[str]] = {}
    for server in servers:
        if server.datapath is not None and server.datapath_reason is not None:
            alike.setdefault((server.datapath, server.datapath_reason), []).append(server.name)
    for (datapath, reason), names in alike.items():
        yield f"datapath {datapath} of {', '.join(names)}: {reason}"


def _targets(nets: NetsStatus) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for heading in ("trunk", "target", "state", "for"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", overflow="fold")
    for one in nets.targets:
        known = one.address and one.address.partition("/")[0] not in one.target
        target = f"{one.target} ({one.address})" if known else one.target
        state = Text(one.state, style=COLOURS.get(one.state, ""))
        table.add_row(one.trunk, target.removeprefix("sip:"), state, duration(one.for_s), one.why)
    return table


def _contacts(nets: NetsStatus) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("user", "phone", "from", "expires in"):
        table.add_column(heading, no_wrap=True)
    table.add_column("agent", overflow="fold")
    for one in nets.contacts:
        phone = one.contact.removeprefix("sip:")
        source = one.source if one.connected else Text(f"{one.source}, closed", style="yellow")
        table.add_row(one.user, phone, source, duration(one.expires_s), one.agent)
    return table


def _registration(one: RegistrationView) -> Text:
    told = f"trunk {one.trunk}: {one.address.removeprefix('sip:')} "
    if not one.registered:
        return Text(f"{told}is not registered: {one.why or 'it is being asked'}", style="red")
    doubt = f"; the last attempt failed: {one.why}" if one.why else ""
    told += f"is registered at {one.target} for another {duration(one.expires_s or 0.0)}{doubt}"
    return Text(told, style="yellow" if doubt else "")


NUMERIC = ("calls", "streams", "rtt")


def _process(server: ServerStatus) -> str:
    if server.pid is not None:
        return str(server.pid)
    if server.process is not None:
        return "starts again"
    return "elsewhere" if server.managed else "foreign"


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def duration(seconds: float) -> str:
    """``4.2 s``, ``12 min 3 s``, ``3 h 5 min``, ``2 d 4 h``: as much as a person needs."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
