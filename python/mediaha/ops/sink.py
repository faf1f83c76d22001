"""Where log lines go: a bounded queue that a thread of its own writes out, so that no call ever waits for a log.

A reader that is slow (a full pipe), gone (a closed one) or out of space costs log lines, never a call: when the
queue is full the newest line is dropped and counted, and the count is written as soon as writing works again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
import time
from collections.abc import Callable

LINES_MAX = 8192
LINE_BYTES_MAX = 16 * 1024
LINES_IN_WRITE_MAX = 64
RETRY_S = 0.5


class LineSink:
    """Takes lines from any thread without blocking and writes them to a file descriptor."""

    def __init__(self, fd: int, drop_notice: Callable[[int], str], lines_max: int = LINES_MAX) -> None:
        """``drop_notice`` words the line that says how many were dropped."""
        self._fd = fd
        self._drop_notice = drop_notice
        self._lines: queue.Queue[bytes | None] = queue.Queue(lines_max)
        self._closing = threading.Event()
        self._untold = 0
        self.dropped = 0
        """Lines that were never written, since the start."""
        self._thread = threading.Thread(target=self._write_out, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line (without its newline). Lines too long are cut; when the queue is full the line is dropped."""
        encoded = line.encode("utf-8", "backslashreplace")
        if len(encoded) > LINE_BYTES_MAX:
            encoded = encoded[:LINE_BYTES_MAX] + b"..."
        try:
            self._lines.put_nowait(encoded + b"\n")
        except queue.Full:
            self._drop(1)

    def close(self, wait_s: float = 1.0) -> None:
        """Write what is queued, but wait no longer than ``wait_s`` for a reader that does not read."""
        self._closing.set()
        with contextlib.suppress(queue.Full):  # then the thread sees the flag at the end of the queue
            self._lines.put_nowait(None)
        self._thread.join(wait_s)

    def _write_out(self) -> None:
        ended = False
        while not ended:
            lines, ended = self._batch()
            self._tell_drops()
            if lines and not self._put(b"".join(lines)):
                self._drop(len(lines))

    def _batch(self) -> tuple[list[bytes], bool]:
        """The lines that wait, as many as go into one write, and whether these are the last."""
        lines: list[bytes] = []
        try:
            line = self._lines.get(timeout=RETRY_S)
            while line is not None:
                lines.append(line)
                if len(lines) == LINES_IN_WRITE_MAX:
                    return lines, False
                line = self._lines.get_nowait()
        except queue.Empty:
            return lines, self._closing.is_set()
        return lines, True

    def _tell_drops(self) -> None:
        untold = self._untold
        if untold and self._put(self._drop_notice(untold).encode() + b"\n"):
            self._untold -= untold

    def _put(self, line: bytes) -> bool:
        """Write the whole line; False when the sink is broken, after a pause so that it is not tried in a spin."""
        view = memoryview(line)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                select.select([], [self._fd], [], RETRY_S)
            except OSError:
                if not self._closing.is_set():
                    time.sleep(RETRY_S)
                return False
        return True

    def _drop(self, count: int) -> None:
        # Two threads may meet here and lose a count between them; that is cheaper than a lock on every line.
        self.dropped += count
        self._untold += count
