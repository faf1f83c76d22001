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
from mediaha.ops.figures import Growth
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
        console.print(f"NeTS {nets.name} on {', '.join(_places(nets))}: {calls}")
        if nets.refuses is not None:
            console.print(f"NeTS {nets.name} takes no calls now, and answers {nets.refuses}", style="red")
        if nets.turned_away:
            said = f"{_counted(nets.turned_away, 'message')} dropped unread: their sources sent too many"
            console.print(said, style="yellow")
    if status.log_lines_dropped:
        console.print(f"{_counted(status.log_lines_dropped, 'log line')} could not be written", style="yellow")
    console.print(_servers(status.servers))
    for line in datapaths(status.servers):
        console.print(line)
    for server in status.servers:
        if server.refuses is not None:
            style = "yellow" if server.state == "draining" else "red"
            console.print(f"{server.name} refuses new calls now: {server.refuses}", style=style)
    if any(server.refused or server.dropped for server in status.servers):
        console.print(_losses(status.servers))
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
    for heading in ("media server", "state", "for", "calls", "streams", "load", "rtt", "datapath", "process"):
        table.add_column(heading, justify="right" if heading in NUMERIC else "left", no_wrap=True)
    table.add_column("why", overflow="fold")
    for server in servers:
        table.add_row(
            server.name,
            Text(server.state, style=COLOURS.get(server.state, "")),
            duration(server.for_s),
            _or_dash(server.calls if server.calls is not None else server.sessions),
            _or_dash(server.streams),
            _load(server),
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


def _load(server: ServerStatus) -> Text:
    """What it expects to need of its time, and what it may: ``23 of 90 %``."""
    expected, most = server.expected_percent, server.busy_percent_max
    if expected is None or most is None:
        return Text("-")
    full = expected >= most
    return Text(
        f"{expected:.0f} of {most:.0f} %", style="red" if full else "yellow" if expected > most * 3 / 4 else ""
    )


def _losses(servers: Sequence[ServerStatus]) -> Table:
    """What was refused and dropped, and whether that goes on."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("media server", "lost", "count", "now"):
        table.add_column(heading, justify="right" if heading == "count" else "left", no_wrap=True)
    table.add_column("what that is", overflow="fold")
    for server in servers:
        for lost, growths, meanings in (("calls", server.refused, WANTING), ("packets", server.dropped, CAUSES)):
            for one in growths:
                goes_on = Text(_growing(one), style="yellow" if one.per_s else "")
                meaning = meanings.get(one.what, one.what)
                table.add_row(server.name, f"{lost}: {one.what}", f"{one.count:,}", goes_on, meaning)
    return table


def _growing(one: Growth) -> str:
    if one.per_s and one.for_s is not None:
        return f"{one.per_s:,} a second for {duration(one.for_s)}"
    return f"not for {duration(one.ago_s)}" if one.ago_s is not None else "no more"


WANTING = {
    "sessions": "refused: it was full, or draining",
    "load": "refused: it was too busy",
    "ports": "refused: no port was free",
}
CAUSES = {
    "overflow": "came faster than they could be read",
    "unsent": "could not be sent: no route there, or a full queue",
    "stranger": "came from an address that is no party's",
    "malformed": "are nothing that a stream carries",
    "unaddressed": "came before the other party had said where it listens",
    "stun": "are ICE checks, in which the relay takes no part",
    "blocked": "were withheld, as a client has asked",
    "repeated": "came again and again, in a circle through another relay",
    "unclaimed": "came to a port of no call",
}
NUMERIC = ("calls", "streams", "load", "rtt")


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
