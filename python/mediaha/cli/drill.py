"""``mediaha drill``: break a media server under real calls, and count what was lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mediaha.cli.options import Whole
from mediaha.drill.faults import Fault

if TYPE_CHECKING:
    from mediaha.drill.run import Outcome, Plan
    from mediaha.drill.site import SiteUnderDrill


def drill(
    *,
    calls: Annotated[Whole, Parameter(validator=Number(gte=1, lte=20000))] = 50,
    fault: Fault = Fault.KILL,
    target: str | None = None,
    rate: Annotated[float, Parameter(validator=Number(gt=0, lte=5000))] = 50.0,
    media: Annotated[Whole, Parameter(validator=Number(gte=1, lte=16))] = 2,
    nets: str | None = None,
    callee: str | None = None,
    domain: str | None = None,
    control: Path | None = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    plot: Path | None = None,
) -> int:
    """Place real SIP calls with audio both ways through a site, break a media server, and count what was lost.

    Without `--nets` it starts a standalone site of its own on free ports of this machine and breaks that one. The exit
    status is 1 when a call was lost.

    Examples:

    * mediaha drill --calls 200 --fault kill

    * mediaha drill --fault hang --json --plot hang.svg

    * mediaha drill --nets 192.0.2.10:5060 --domain drill.example --callee 192.0.2.10:5099

    Parameters
    ----------
    calls
        How many calls are up when the fault comes.
    fault
        kill (SIGKILL; another process takes the server's place, with its calls), lose (the same, but what it had is
        gone, as when its host dies: the calls move to the next server), hang (SIGSTOP), drain (no new calls; nothing
        may be heard of it), cut (every packet from and to the server is dropped with nftables; needs root).
    target
        The media server to break. Default: the first of the domain's list.
    rate
        Calls placed a second.
    media
        How many media servers the drill's own site has.
    nets
        Where the NeTS of a running site listens, HOST:PORT. The drill then uses that site.
    callee
        Where that site sends the calls of the domain, HOST:PORT: the drill answers them there.
    domain
        A domain of that site whose calls go to `--callee`.
    control
        The control socket of that site's host. Default: $MEDIAHA_CONTROL, or where `mediaha serve` puts it.
    json
        The report as one JSON object for scripts; progress goes to standard error.
    plot
        Write an SVG here: packets heard per 20 ms around the fault.
    """
    import trio

    from mediaha.drill.run import Plan
    from mediaha.ops.levels import LogFormat, LogLevel
    from mediaha.ops.logs import log_to

    plan = Plan(calls=calls, fault=fault, target=target, rate=rate)
    with log_to(2, LogFormat.CONSOLE, LogLevel.ERROR):
        outcome = trio.run(_drill, plan, _running_site(nets, callee, domain, control), media)
    _show(outcome, json)
    if plot is not None:
        _write_plot(outcome, plot)
    return 0 if outcome.report.ok() else 1


def _running_site(
    nets: str | None, callee: str | None, domain: str | None, control: Path | None
) -> SiteUnderDrill | None:
    from mediaha.drill.site import DrillImpossible, SiteUnderDrill
    from mediaha.model.address import Address

    if nets is None and callee is None and domain is None and control is None:
        return None
    if nets is None or callee is None:
        raise DrillImpossible(
            "to use a running site, name its NeTS with --nets HOST:PORT, and with --callee HOST:PORT the target of "
            "the domain, where the drill answers the calls"
        )
    if control is None and (named := os.environ.get("MEDIAHA_CONTROL")):
        # Not the option's own default: whoever has it set may still want a drill of a site of its own.
        control = Path(named)
    return SiteUnderDrill(Address.parse(nets, 5060), Address.parse(callee, 5060), domain or "*", control)


async def _drill(plan: Plan, site: SiteUnderDrill | None, media: int) -> Outcome:
    from rich.console import Console
    from rich.progress import Progress

    from mediaha.drill.run import run
    from mediaha.drill.site import own_site

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting a site", total=None)

        def progress(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        if site is not None:
            return await run(plan, site, progress)
        async with own_site(media) as own:
            return await run(plan, own, progress)


def _show(outcome: Outcome, json: bool) -> None:
    from rich.console import Console

    from mediaha.drill.screen import show

    if json:
        print(outcome.report.to_json().decode())
    else:
        show(outcome.report, outcome.gaps_ms, Console())


def _write_plot(outcome: Outcome, path: Path) -> None:
    from mediaha.drill.plot import Line, Mark, chart
    from mediaha.drill.site import DrillImpossible

    report, timeline = outcome.report, outcome.timeline
    picture = chart(
        f"{report.calls} calls, {report.fault} of media server {report.target}: {report.calls_lost} lost",
        "milliseconds from the fault",
        f"packets heard per {timeline.bucket_s * 1000:.0f} ms",
        [Line("heard", -timeline.fault_at * 1000, timeline.bucket_s * 1000, timeline.counts)],
        [Mark(0, report.fault)],
    )
    try:
        path.write_text(picture)
    except OSError as error:
        raise DrillImpossible(f"the picture cannot be written to {path}: {error.strerror}") from error
