"""The commands by name. Each imports what it needs when it is called, so that ``--help`` is quick."""

from __future__ import annotations

from cyclopts import App

from mediaha.cli.check import check_config
from mediaha.cli.drill import drill
from mediaha.cli.hashing import hash_secret
from mediaha.cli.look import drain, explain, status, undrain, upgrade
from mediaha.cli.serve import serve
from mediaha.cli.trace import trace

app = App(
    name="mediaha",
    help="""Calls that outlive their servers.

    `mediaha serve` runs a complete site on this machine; `mediaha drill` breaks one and counts what was lost.
    """,
    result_action="return_value",
    default_parameter=None,
)
app.command(serve)
app.command(status)
app.command(explain)
app.command(trace)
app.command(drain)
app.command(undrain)
app.command(upgrade)
app.command(check_config)
app.command(hash_secret)
app.command(drill)
