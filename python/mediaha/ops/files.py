"""File descriptors: enough of them for the connections that may come, or fewer connections."""

from __future__ import annotations

import contextlib
import resource

SPARE = 512
"""For everything that is no connection of a listener: logs, pools, media-server processes, the control socket."""


def room_for(connections: int) -> int:
    """Raise this process's soft limit as far as needed and allowed; how many of the connections there is room for.

    Usual services begin with 1,024 descriptors and may have half a million.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - SPARE))
