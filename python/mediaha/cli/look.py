"""Commands that ask the mediaha on this machine: ``status``, ``explain``, ``drain``, ``undrain``, ``upgrade``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

UPGRADE_S_MAX = 120.0

Control = Annotated[Path | None, Parameter(env_var="MEDIAHA_CONTROL")]
AsJson = Annotated[bool, Parameter(name="--json", negative=())]


def status(*, control: Control = None, json: AsJson = False) -> int:
    """Show the media servers: their state, load, why they refuse calls and what they drop; trunks; registered phones.

    `load` is how much of its time a server is about to need, of how much it may before it refuses new calls.

    Examples:

    * mediaha status

    * mediaha status --json | jq '.servers[] | {name, state, calls, refuses}'

    Parameters
    ----------
    control
        The control socket of the mediaha to ask. Default: where `mediaha serve` puts it.
    json
        One JSON object for scripts.
    """
    from mediaha.cli import render
    from mediaha.ops.asking import ask

    answer = ask("status", control)
    if json:
        render.print_json(answer)
    else:
        render.print_status(answer)
    return 0


def explain(call_id: str, /, *, control: Control = None, json: AsJson = False) -> int:
    """Tell the story of one call: each media server that was tried, each answer, each move, with times.

    Example: mediaha explain 1-4242@192.0.2.7

    Parameters
    ----------
    call_id
        The Call-ID of either leg, or NeTS's own name of the call, as logs have it.
    control
        The control socket of the mediaha to ask. Default: where `mediaha serve` puts it.
    json
        One JSON object for scripts.
    """
    from mediaha.cli import render, story
    from mediaha.ops.asking import ask

    answer = ask("explain", control, call_id=call_id)
    if json:
        render.print_json(answer)
    else:
        story.print_story(answer)
    return 0


def drain(server: str, /, *, control: Control = None) -> int:
    """Let a media server take no new calls; those that it has go on. `mediaha undrain` undoes it.

    Example: mediaha drain media-1

    Parameters
    ----------
    server
        The media server's name.
    control
        The control socket of the mediaha to ask. Default: where `mediaha serve` puts it.
    """
    return _drain(server, control, draining=True)


def undrain(server: str, /, *, control: Control = None) -> int:
    """Let a media server take calls again.

    Parameters
    ----------
    server
        The media server's name.
    control
        The control socket of the mediaha to ask. Default: where `mediaha serve` puts it.
    """
    return _drain(server, control, draining=False)


def upgrade(server: str | None = None, /, *, control: Control = None) -> int:
    """Replace the processes of media servers by new ones, of what is installed now, without losing a packet.

    The calls go on as they are; nobody is re-INVITEd. NeTS itself stays the process that it is.

    Examples:

    * mediaha upgrade

    * mediaha upgrade media-1

    Parameters
    ----------
    server
        The media server's name. Default: all of this host, one after the other.
    control
        The control socket of the mediaha to ask. Default: where `mediaha serve` puts it.
    """
    from mediaha.ops.asking import ask

    answer = ask("upgrade", control, within_s=UPGRADE_S_MAX, server=server)
    for upgraded in msgspec.convert(answer, dict[str, list[str]])["servers"]:
        print(f"{upgraded}: a new process, with the calls of the old one")
    return 0


def _drain(server: str, control: Path | None, *, draining: bool) -> int:
    from mediaha.ops.asking import ask

    ask("drain", control, server=server, draining=draining)
    print(
        f"{server} takes no new calls; `mediaha status` shows those it still has"
        if draining
        else f"{server} takes calls"
    )
    return 0
