"""Run one media server in this process, with logs set up.

It is started again and again, and nobody has a call there until it runs: nothing of a site is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import trio

from mediaha.cli.complaints import FAILED, sentences_of
from mediaha.cli.options import Logs, drain_s_of
from mediaha.media import share_heap
from mediaha.model.site import MediaServerSpec
from mediaha.node.alone import run_media, run_spare
from mediaha.ops.logs import log_to, stderr_format
from mediaha.ops.relay import say


def run_alone(spec: MediaServerSpec, logs: Logs, *, drain_s: float | None, supervised: bool, line: int | None) -> int:
    """One media server in this process. Under a supervisor, standard output carries the one line it waits for."""
    seconds = drain_s_of(drain_s)

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

    return _run(main, logs, supervised=supervised)


def run_as_spare(logs: Logs, *, drain_s: float | None, line: int) -> int:
    """A process that becomes a media server when one has lost its own."""
    seconds = drain_s_of(drain_s)

    async def main() -> None:
        await run_spare(drain_s=seconds, line=line, ready=_say_ready)

    return _run(main, logs, supervised=True)


def _say_ready(spec: MediaServerSpec) -> None:
    say({"ready": {"name": spec.name, "ng": str(spec.ng)}})


def _run(main: Callable[[], Awaitable[None]], logs: Logs, *, supervised: bool) -> int:
    share_heap()  # before the log starts the first thread
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
