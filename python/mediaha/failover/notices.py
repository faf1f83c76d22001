"""What waits for the reader of notices: for a call its newest notice, for a server its newest condition."""

from __future__ import annotations

from mediaha.model.media import Moved, ServerChanged, Stranded

Notice = Moved | Stranded | ServerChanged


class Backlog:
    """Notices by age, at most one for each call and each server, so that none that matters is ever dropped.

    A newer notice makes an older one about the same call or server untrue, and takes its place at the end.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Notice] = {}

    def put(self, notice: Notice) -> None:
        """Keep a notice as the newest."""
        subject = ("server", notice.server) if isinstance(notice, ServerChanged) else ("call", notice.call_id)
        self._waiting.pop(subject, None)
        self._waiting[subject] = notice

    def take(self) -> Notice | None:
        """The oldest notice, which waits no longer."""
        for subject in self._waiting:
            return self._waiting.pop(subject)
        return None

    def forget(self, call_id: str) -> None:
        """The call is over: nobody needs to be told about it."""
        self._waiting.pop(("call", call_id), None)

    def __len__(self) -> int:
        return len(self._waiting)
