"""Runs one media server inside this process and writes its records to the log."""

from __future__ import annotations

import trio

from mediaha.model.address import Address
from mediaha.model.site import MediaServerSpec


class RunningMedia:
    """A media server that is being served."""

    @property
    def ng(self) -> Address:
        """Where the control port is bound."""
        raise NotImplementedError

    def drain(self, draining: bool = True) -> None:
        """Refuse new calls, or take them again; those that are there go on."""
        raise NotImplementedError

    def statistics(self) -> dict[str, object]:
        """Calls, streams, packets and refusals."""
        raise NotImplementedError


async def serve_media(
    spec: MediaServerSpec, *, task_status: trio.TaskStatus[RunningMedia] = trio.TASK_STATUS_IGNORED
) -> None:
    """Relay until cancelled; the threads have ended when this returns.

    Raises ``mediaha.model.errors.MediahaError`` when a socket cannot be bound; the text names it.
    """
    raise NotImplementedError
