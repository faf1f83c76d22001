"""What ``mediaha serve`` shows when it is ready: what runs where, and what to try next."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mediaha.cli.render import wide_console
from mediaha.model.address import Address
from mediaha.model.site import Domain, MediaServerSpec
from mediaha.ops.kept import Running

if TYPE_CHECKING:
    from mediaha.node.host import Node


def print_first_screen(node: Node, control: Path, control_given: bool, drain_s: float) -> None:
    """Print it to standard output; a reader that is gone is no reason to stop."""
    with contextlib.suppress(OSError):
        console = wide_console()
        host, site = (node.name, "bold"), (node.site.name, "bold")
        console.print(Text.assemble(("mediaha", "bold"), " runs host ", host, " of the site ", site))
        console.print(_parts(node, control))
        console.print(_next_steps(node, control if control_given else None))
        console.print(
            f"Ctrl-C takes no new calls and lets those that are there go on for {drain_s:g} s; twice stops at once."
        )
        sys.stdout.flush()


def _parts(node: Node, control: Path) -> Table:
    table = Table.grid(padding=(0, 2))
    for session in node.nets():
        table.add_row("  NeTS", session.spec.name, f"takes calls on {', '.join(map(str, session.spec.listeners))}")
    for spec in node.media():
        table.add_row("  media server", spec.name, f"ng {spec.ng}/udp, {_whereabouts(node, spec)}")
    for domain in node.site.domains if node.nets() else ():
        table.add_row("  domain", domain.name, f"{', then '.join(domain.media)}; calls go to {_join(node, domain)}")
    table.add_row("  control", "", str(control))
    return table


def _whereabouts(node: Node, spec: MediaServerSpec) -> str:
    process = node.processes().get(spec.name)
    if isinstance(process, Running):
        return f"RTP {spec.ports[0]}-{spec.ports[1]}, process {process.pid}"
    return "on another host" if spec.managed else "not started by mediaha"


def _join(node: Node, domain: Domain) -> str:
    users = sum(user.domain == domain.name.lower() for user in node.site.users)
    phones = f"the phones of {users} user{'s' if users != 1 else ''}" if users else ""
    others = ", else ".join([*(f"trunk {name}" for name in domain.trunks), *map(str, domain.targets)])
    return f"{phones}, others to {others}" if phones and others else phones or others


def _next_steps(node: Node, control: Path | None) -> Text:
    command = _command()
    option = f" --control {control}" if control is not None else ""
    steps: list[tuple[str, str]] = []
    sessions = node.nets()
    # SIPp calls us by our address: whichever domain that is says who answers.
    domain = node.site.domain(sessions[0].spec.listen.host) if sessions else None
    if domain is not None and domain.targets:
        listen, target = sessions[0].spec.listen, domain.targets[0]
        if isinstance(target, Address) and _is_loopback(listen) and _is_loopback(target):
            steps += [
                (f"sipp -sn uas -rtp_echo -i {target.host} -p {target.port}", "somebody who answers"),
                (f"sipp -sn uac -i {listen.host} -m 1 -d 20000 {listen}", "a call of 20 s"),
            ]
    steps.append((f"{command} status{option}", "servers and calls"))
    if sessions:
        steps.append((f"{command} drill", "a server is killed"))
    width = max(len(step) for step, _ in steps)
    shown = Text("\nTry, each in a terminal of its own:\n")
    for step, comment in steps:
        shown.append(f"  {step:{width}}  ").append(f"# {comment}\n", style="dim")
    return shown


def _is_loopback(address: Address) -> bool:
    return address.host in ("127.0.0.1", "::1")


def _command() -> str:
    """How a person in this directory calls this very mediaha."""
    found = shutil.which("mediaha")
    beside = Path(sys.executable).with_name("mediaha")
    if found is not None and Path(found) == beside:
        return "mediaha"
    return f"{os.path.relpath(beside) if beside.exists() else sys.executable + ' -m mediaha'}"
