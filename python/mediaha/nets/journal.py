"""The log, kept off the path of messages: a line costs as much as a re-INVITE, and hundreds may move together."""

from __future__ import annotations

from collections import deque

import structlog
import trio

from mediaha.nets.events import Note

LINES_MAX = 20_000
"""Lines that wait; the oldest is dropped, and counted."""
PAUSE_S = 0.05
BATCH = 20

_log = structlog.get_logger("nets")

_WARNINGS = frozenset({"stranded", "refused", "no media", "change failed", "forgotten", "passed over"})


class Journal:
    """Decisions on their way into the log, written when nothing more urgent is to be done."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, float, Note]] = deque()
        self._some = trio.Event()
        self.dropped = 0

    def add(self, call_id: str, ms: float, note: Note) -> None:
        """A decision was made about a call, ``ms`` after its INVITE: the line itself is written a little later."""
        if len(self._waiting) >= LINES_MAX:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((call_id, ms, note))
        self._some.set()

    async def run(self) -> None:
        """Write until cancelled; what waits then is still written."""
        try:
            while True:
                await self._some.wait()
                # A burst of moves is over within this time, and its lines come after its messages.
                await trio.sleep(PAUSE_S)
                while self._waiting:
                    self._write(BATCH)
                    await trio.lowlevel.checkpoint()
                self._some = trio.Event()
        finally:
            self._write(len(self._waiting))

    def _write(self, lines: int) -> None:
        log = _log.bind()  # once for all of them: to find a logger costs more than a line that is not wanted
        for _ in range(min(lines, len(self._waiting))):
            call_id, ms, note = self._waiting.popleft()
            write = log.warning if note.what in _WARNINGS else log.info
            facts = {"attempts": [f"{one.server}: {one.outcome}" for one in note.story]} if note.story else {}
            write(note.what, call_id=call_id, ms=ms, **note.facts, **facts)
