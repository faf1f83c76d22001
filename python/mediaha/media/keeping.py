"""What outlives a media-server process: the supervisor's end of it, and the process's."""

from __future__ import annotations

import msgspec
import trio

from mediaha import _core
from mediaha.model.site import MediaServerSpec

Line = _core.Line


def start_keeper() -> _core.Keeper:
    """Start the thread that holds what media servers leave. Raises MediahaError."""
    return _core.Keeper()


def words_for(spec: MediaServerSpec) -> str:
    """All that a spare process must be told to be this server."""
    return msgspec.json.encode(spec).decode()


def line_on(fd: int) -> _core.Line:
    """The line that this process was started with. Raises MediahaError."""
    return _core.Line(fd)


async def assigned(line: _core.Line) -> MediaServerSpec:
    """Be a spare: say that this process is ready, and wait for whose place it takes. Raises MediahaError."""
    line.ready()
    await trio.lowlevel.wait_readable(line.fileno())
    return msgspec.json.decode(line.assignment(), type=MediaServerSpec)
