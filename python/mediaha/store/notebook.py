"""Texts by key in an SQLite file, each with a time after which it is worthless. Does.

What is written is in memory at once and in the file soon: a thread takes everything that has changed since its last
transaction. Of a text that changes faster than the disk writes, only the newest is written, so that no more ever waits
than there are keys. A file that is locked, full or gone is tried again and again; one that is damaged is put aside and
begun anew with all that is in memory.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from mediaha.model.errors import MediahaError

FORMAT = 1
"""The file's ``user_version``."""
KEYS_MAX = 100_000
"""More are kept by whoever writes them, but not written down; counted."""
BUSY_S = 2.0
"""How long somebody else's lock is waited for."""
AGAIN_S, AGAIN_S_MAX = 0.5, 30.0
"""When writing has failed it is tried again after this, and twice that, and so on."""
CLOSE_S_MAX = 3.0
"""How long the end may take: what could not be written by then is lost."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, text BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID"
)

_log = structlog.get_logger("store")

Note = tuple[bytes, float]


class _Foreign(MediahaError):
    """The file is a database, but not one of ours."""


class Notebook:
    """One file. Its thread runs from ``read`` until ``close``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped = 0
        """Texts that were not written down because there were too many keys."""
        self._notes: dict[str, Note] = {}
        self._changed: set[str] = set()
        self._news = threading.Condition()
        self._closing = False
        self._failed = ""
        self._thread = threading.Thread(target=self._write_behind, name="notebook", daemon=True)

    def read(self) -> Mapping[str, bytes]:
        """What was written before, and begin to write. Waits for the disk: call it in a thread.

        When the file cannot be read that is logged, and there is nothing.
        """
        try:
            with self._open() as database:
                rows = database.execute("SELECT key, text, until FROM notes WHERE until > ?", (time.time(),))
                self._notes = {key: (bytes(text), until) for key, text, until in rows.fetchmany(KEYS_MAX)}
        except (sqlite3.Error, _Foreign, OSError) as error:
            self._complain(error, "reading what was written before")
        self._thread.start()
        return {key: text for key, (text, _) in self._notes.items()}

    def write(self, key: str, text: bytes, until: float) -> None:
        """Write down, soon. Worthless after ``until`` (Unix time)."""
        with self._news:
            if key not in self._notes and len(self._notes) >= KEYS_MAX:
                self.dropped += 1
                return
            self._notes[key] = (text, until)
            self._changed.add(key)
            self._news.notify()

    def forget(self, key: str) -> None:
        """Strike out, soon."""
        with self._news:
            self._notes.pop(key, None)
            self._changed.add(key)
            self._news.notify()

    def close(self) -> None:
        """Write what is left, and end the thread. Waits: call it in a thread."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join(CLOSE_S_MAX)

    # The thread

    def _write_behind(self) -> None:
        pause = AGAIN_S
        while True:
            with self._news:
                while not (self._changed or self._closing):
                    self._news.wait()
                changed, closing = self._changed, self._closing
                notes = {key: self._notes.get(key) for key in changed}
                self._changed = set()
            if self._written(notes):
                pause = AGAIN_S
            else:
                with self._news:
                    self._changed |= notes.keys()
                    self._news.wait_for(lambda: self._closing, pause)
                pause = min(2 * pause, AGAIN_S_MAX)
            if closing:
                return

    def _written(self, notes: Mapping[str, Note | None]) -> bool:
        """Write these. False: it could not be done, and was said."""
        try:
            with self._open() as database:
                put = [(key, *note) for key, note in notes.items() if note is not None]
                gone = [(key,) for key, note in notes.items() if note is None]
                database.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", put)
                database.executemany("DELETE FROM notes WHERE key = ?", gone)
                database.execute("DELETE FROM notes WHERE until <= ?", (time.time(),))
        except (sqlite3.Error, _Foreign, OSError) as error:
            self._complain(error, "writing what has changed")
            return False
        if self._failed:
            self._failed = ""
            _log.info("the file can be written again", file=str(self.path))
        return True

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction. Opened each time, so that a file that was replaced or taken away is noticed."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.touch(mode=0o600, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in {0, FORMAT}:
                raise _Foreign(f"it has the format {version}, not {FORMAT}")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("BEGIN IMMEDIATE")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {FORMAT}")
            yield database
            database.execute("COMMIT")
        finally:
            database.close()

    def _complain(self, error: Exception, trouble: str) -> None:
        """Say it once, and not each time that it is tried again; put the file aside if nothing can come of that."""
        why = str(error)
        if why != self._failed:
            _log.error("contacts are kept in memory only, for now", file=str(self.path), why=why, trouble=trouble)
        self._failed = why
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED or isinstance(error, _Foreign):
            self._put_aside()

    def _put_aside(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        try:
            self.path.rename(aside)
        except OSError as error:
            _log.error("the damaged file cannot be put aside", file=str(self.path), why=str(error))
            return
        for more in ("-wal", "-shm"):
            with suppress(OSError):
                self.path.with_name(self.path.name + more).unlink()
        _log.warning("the damaged file was put aside, a new one is begun", file=str(self.path), aside=str(aside))
        with self._news:
            self._changed |= self._notes.keys()
