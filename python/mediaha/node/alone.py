"""A process that is one media server, or the spare of one: the supervisor starts it, or a person who wants no more."""

from __future__ import annotations

from collections.abc import Callable

import trio

from mediaha.media import Line, RunningMedia, assigned, line_on, serve_media
from mediaha.model.site import MediaServerSpec
from mediaha.ops.relay import end_with_supervisor, run_relay


async def run_media(
    spec: MediaServerSpec, *, drain_s: float, supervised: bool, line: int | None, ready: Callable[[], None]
) -> None:
    """Run one media server in this process; ``ready`` is called when calls can come.

    ``line`` is the descriptor of a line to the supervisor's keeper. Raises MediahaError, with a sentence for the
    person, when it cannot be started.
    """
    kept = None if line is None else line_on(line)
    await _relay(spec, kept, drain_s=drain_s, supervised=supervised, ready=lambda _spec: ready())


async def run_spare(*, drain_s: float, line: int, ready: Callable[[MediaServerSpec], None]) -> None:
    """Wait until a media server of the supervisor's has lost its process, and be that server from there on.

    ``ready`` is called when calls can come. Raises MediahaError, with a sentence for the person.
    """
    kept = line_on(line)
    spec = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_with_supervisor, nursery.cancel_scope)
        spec = await assigned(kept)
        nursery.cancel_scope.cancel()
    if spec is not None:
        await _relay(spec, kept, drain_s=drain_s, supervised=True, ready=ready)


async def _relay(
    spec: MediaServerSpec,
    line: Line | None,
    *,
    drain_s: float,
    supervised: bool,
    ready: Callable[[MediaServerSpec], None],
) -> None:
    async def start(nursery: trio.Nursery) -> RunningMedia:
        async def serve(task_status: trio.TaskStatus[RunningMedia]) -> None:
            await serve_media(spec, line=line, task_status=task_status)
            nursery.cancel_scope.cancel()  # another process has taken over

        running: RunningMedia = await nursery.start(serve)
        return running

    kept = line is not None
    await run_relay(spec, start, drain_s=drain_s, supervised=supervised, kept=kept, ready=lambda: ready(spec))
