"""``mediaha serve``: from the options on the command line to a running host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from mediaha.cli.options import Logs, Whole
from mediaha.model.errors import MediahaError
from mediaha.model.site import Datapath
from mediaha.ops.levels import LogFormat, LogLevel

WITH_FILE = Group("With a site file", sort_key=1)
ALONE = Group("The standalone site, without a file", sort_key=2)
MEDIA = Group("One media server, --role media", sort_key=3)
EITHER = Group("Media servers, without a site file", sort_key=4)
ALWAYS = Group("Always", sort_key=5)


class OptionsDisagree(MediahaError):
    """Options were given that do not belong together."""


def serve(
    site: Path | None = None,
    /,
    *,
    host: Annotated[str | None, Parameter(group=WITH_FILE)] = None,
    listen: Annotated[str | None, Parameter(group=ALONE)] = None,
    target: Annotated[list[str] | None, Parameter(group=ALONE, negative=())] = None,
    caller: Annotated[list[str] | None, Parameter(group=ALONE, negative=())] = None,
    ng_port: Annotated[Whole | None, Parameter(group=ALONE)] = None,
    media: Annotated[Whole | None, Parameter(group=ALONE)] = None,
    ports: Annotated[str | None, Parameter(group=EITHER)] = None,
    role: Annotated[Literal["all", "media"], Parameter(group=MEDIA)] = "all",
    listen_ng: Annotated[str | None, Parameter(group=MEDIA)] = None,
    interface: Annotated[list[str] | None, Parameter(group=MEDIA, negative=())] = None,
    name: Annotated[str | None, Parameter(group=MEDIA)] = None,
    workers: Annotated[Whole | None, Parameter(group=MEDIA)] = None,
    sessions_max: Annotated[Whole | None, Parameter(group=MEDIA)] = None,
    silence_seconds: Annotated[float | None, Parameter(group=MEDIA)] = None,
    held_seconds: Annotated[float | None, Parameter(group=MEDIA)] = None,
    orphan_seconds: Annotated[float | None, Parameter(group=MEDIA)] = None,
    busy_percent_max: Annotated[Whole | None, Parameter(group=MEDIA)] = None,
    dscp: Annotated[Whole | None, Parameter(group=MEDIA)] = None,
    datapath: Annotated[Datapath | None, Parameter(group=EITHER)] = None,
    supervised: Annotated[bool, Parameter(show=False, negative=())] = False,
    spare: Annotated[bool, Parameter(show=False, negative=())] = False,
    line: Annotated[int | None, Parameter(show=False)] = None,
    control: Annotated[Path | None, Parameter(group=ALWAYS, env_var="MEDIAHA_CONTROL")] = None,
    drain_seconds: Annotated[float | None, Parameter(group=ALWAYS)] = None,
    log_format: Annotated[LogFormat | None, Parameter(group=ALWAYS)] = None,
    log_level: Annotated[LogLevel, Parameter(group=ALWAYS)] = LogLevel.INFO,
) -> int:
    """Run a complete site on this machine, or one host of a site, or one media server.

    Without SITE: one NeTS and two media servers as processes of their own, loopback only. When the process of a media
    server dies another one goes on with its calls, or they go on through the other server.

    SIGTERM or Ctrl-C takes no new calls and lets those that are there end; a second one stops at once. SIGHUP reads
    the site file again.

    Examples:

    * mediaha serve

    * mediaha serve --listen 192.0.2.1:5060 --target 192.0.2.20:5060 --caller 192.0.2.0/24

    * mediaha serve site.toml --host alpha

    * mediaha serve --role media --listen-ng 127.0.0.1:2223 --interface 127.0.0.1 --ports 20000-29999

    Parameters
    ----------
    site
        The site file, see docs/site.md and examples/site.toml.
    host
        Which host of the site this is. Default: the one whose name is this machine's, or the only one.
    listen
        Where NeTS takes calls, over UDP and TCP; udp:IP:PORT or tcp:IP:PORT for one of them. Default: 127.0.0.1:5060.
    target
        Where calls go; given several times, they are tried in order. Default: 127.0.0.1:5070, or [::1]:5070.
    caller
        A network that may call beside the targets, IP or IP/PREFIX; may be given several times. Default: this machine
        when --listen is a loopback address.
    ng_port
        The ng port of the first media server; the others follow. Default: 2223.
    media
        How many media servers. Default: 2.
    ports
        The ports for RTP, FIRST-LAST; several media servers share them out. Default: 20000-29999.
    role
        What to run: everything, or one media server.
    listen_ng
        Where the media server is controlled, over UDP. Default: 127.0.0.1:2223.
    interface
        IP, NAME/IP or NAME/IP!ADVERTISED-IP for RTP; may be given several times. Default: 127.0.0.1.
    name
        The media server's name in logs. Default: media.
    workers
        Threads that relay, no more than there are cores to spare. Each stream keeps to one, so that its packets stay
        in order. Default: 1.
    sessions_max
        Calls at the same time; more are refused. Default: 20000.
    silence_seconds
        A call without a packet for so long is dropped. Default: 60.
    held_seconds
        The same for a call on hold. Default: 3600.
    orphan_seconds
        How long an offer waits for its answer. Default: 180.
    busy_percent_max
        New calls are refused while the busiest thread needs more than this of its time, and after it has dropped
        packets; 100 for never. Default: 90.
    dscp
        How routers are asked to treat the packets (RFC 2474), 0 to 63. Default: 46, expedited forwarding.
    datapath
        What forwards the packets: sockets (one a port), steered (one a worker; it takes privileges), kernel (calls
        under way, past the packet filter; it takes privileges), or auto for the faster of the first two that works
        here. Default: auto.
    control
        The control socket. Default: mediaha/control.sock in $XDG_RUNTIME_DIR or /run, or ./mediaha-control.sock.
    drain_seconds
        How long calls may go on after the first SIGTERM. Default: 30, or drain_s_max of the site.
    log_format
        json, or console for people. Default: console on a terminal, json otherwise.
    log_level
        The least important lines to write.
    """
    # The heavy parts are imported where they are used: --help waits for none, and a media server for none of a site's.
    from mediaha.cli import plan

    alone = {"--listen": listen, "--target": target, "--caller": caller, "--ng-port": ng_port, "--media": media}
    one = {
        "--listen-ng": listen_ng,
        "--interface": interface,
        "--name": name,
        "--workers": workers,
        "--sessions-max": sessions_max,
        "--silence-seconds": silence_seconds,
        "--held-seconds": held_seconds,
        "--orphan-seconds": orphan_seconds,
        "--busy-percent-max": busy_percent_max,
        "--dscp": dscp,
    }
    logs = Logs(log_format, log_level)
    if role == "media":
        from mediaha.cli import mediaserver

        if spare and line is not None:
            return mediaserver.run_as_spare(logs, drain_s=drain_seconds, line=line)
        _refuse("--role media", {**alone, "--host": host, "SITE": site})
        spec = plan.media_server(
            name=name,
            listen_ng=listen_ng,
            interfaces=interface,
            ports=ports,
            workers=workers,
            sessions_max=sessions_max,
            silence_s=silence_seconds,
            held_s=held_seconds,
            orphan_s=orphan_seconds,
            busy_percent_max=busy_percent_max,
            dscp=dscp,
            datapath=datapath,
        )
        return mediaserver.run_alone(spec, logs, drain_s=drain_seconds, supervised=supervised, line=line)
    _refuse("the role all; add --role media", one)
    from mediaha.cli import running

    if site is not None:
        _refuse("a site file, which says it itself", {**alone, "--ports": ports, "--datapath": datapath})
        return running.run_host_of(site, host, logs, control=control, drain_s=drain_seconds)
    _refuse("the standalone site; name a site file", {"--host": host})
    made = plan.standalone(
        listen=listen,
        targets=target,
        callers=caller,
        ng_port=ng_port,
        media=media,
        ports=ports,
        datapath=datapath,
    )
    return running.run_standalone(made, logs, control=control, drain_s=drain_seconds)


def _refuse(mode: str, options: Mapping[str, object]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise OptionsDisagree(f"{', '.join(given)} cannot go with {mode}; see `mediaha serve --help`")
