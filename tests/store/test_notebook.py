"""The notebook survives: restarts, damage, locks and a file that cannot be written; and nobody waits for it."""

import sqlite3
import subprocess
import sys
import time

import pytest
from structlog.testing import capture_logs

from mediaha.store import Notebook, notebook

FAR = time.time() + 3600


def opened(path):
    book = Notebook(path)
    return book, dict(book.read())


def reopened(path):
    book, texts = opened(path)
    book.close()
    return texts


def until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "contacts.sqlite"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(notebook, "BUSY_S", 0.05)
    monkeypatch.setattr(notebook, "AGAIN_S", 0.05)


def test_what_was_written_is_there_after_a_restart_and_what_was_struck_out_is_not(path):
    book, texts = opened(path)
    assert texts == {}
    book.write("anna", b"1", FAR)
    book.write("anna", b"2", FAR)
    book.write("bo", b"3", FAR)
    book.write("late", b"4", time.time() - 1)
    book.forget("bo")
    book.close()
    assert reopened(path) == {"anna": b"2"}


def test_a_process_that_is_killed_loses_nothing_that_has_been_written(path):
    book, _ = opened(path)
    book.write("anna", b"1", FAR)
    until(lambda: path.exists() and reopened(path) == {"anna": b"1"})
    book.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with capture_logs() as logs:
        book, texts = opened(path)
        book.write("anna", b"1", FAR)
        book.close()
    assert texts == {}
    assert reopened(path) == {"anna": b"1"}
    assert [one.read_bytes() for one in path.parent.glob("*.damaged-*")] == [content]
    assert any("put aside" in log["event"] for log in logs)


def test_a_file_that_is_damaged_while_in_use_is_begun_anew_with_all_that_is_known(path, impatient):
    book, _ = opened(path)
    book.write("anna", b"1", FAR)
    until(lambda: not book._changed and path.exists() and reopened(path) == {"anna": b"1"})
    path.write_bytes(b"overwritten by a careless hand" * 50)
    book.write("bo", b"2", FAR)
    until(lambda: list(path.parent.glob("*.damaged-*")))
    until(lambda: reopened(path) == {"anna": b"1", "bo": b"2"})
    book.close()


def test_a_file_of_a_later_format_is_not_touched_but_put_aside(path):
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    assert reopened(path) == {}
    (aside,) = path.parent.glob("*.damaged-*")
    assert sqlite3.connect(aside).execute("PRAGMA user_version").fetchone() == (99,)


def test_a_locked_file_keeps_nobody_and_is_written_once_it_is_free(path, impatient):
    book, _ = opened(path)
    locked = sqlite3.connect(path, isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    with capture_logs() as logs:
        for number in range(1000):
            book.write("anna", b"%d" % number, FAR)
        until(lambda: any(log["event"] == "contacts are kept in memory only, for now" for log in logs))
        assert sum(log["event"] == "contacts are kept in memory only, for now" for log in logs) == 1, "said once"
        locked.execute("COMMIT")
        locked.close()
        until(lambda: any("written again" in log["event"] for log in logs))
    book.close()
    assert reopened(path) == {"anna": b"999"}


def test_a_place_that_cannot_be_written_is_said_and_survived(tmp_path, impatient):
    (tmp_path / "file").write_text("in the way of a folder")
    with capture_logs() as logs:
        book, texts = opened(tmp_path / "file" / "contacts.sqlite")
        book.write("anna", b"1", FAR)
        book.close()
    assert texts == {}
    assert any(log["event"] == "contacts are kept in memory only, for now" for log in logs)


FULL = """
import resource, sys, time
from pathlib import Path
from structlog.testing import capture_logs
from mediaha.store import Notebook, notebook
notebook.AGAIN_S = notebook.AGAIN_S_MAX = 0.05
book = Notebook(Path(sys.argv[1]))
book.read()
with capture_logs() as logs:
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
    for key in range(100):
        book.write(str(key), bytes(10_000), time.time() + 3600)
    while not any(log["event"] == "contacts are kept in memory only, for now" for log in logs):
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while not any("written again" in log["event"] for log in logs):
        time.sleep(0.01)
book.close()
"""


def test_a_disk_that_is_full_is_said_and_written_once_there_is_room(path):
    subprocess.run([sys.executable, "-c", FULL, str(path)], check=True, timeout=60)
    assert len(reopened(path)) == 100
    assert not list(path.parent.glob("*.damaged-*")), "nothing was wrong with the file"


def test_the_number_of_keys_is_bounded(path, monkeypatch):
    monkeypatch.setattr(notebook, "KEYS_MAX", 2)
    book, _ = opened(path)
    for key in ("a", "b", "c"):
        book.write(key, b"x", FAR)
    book.close()
    assert book.dropped == 1
    assert sorted(reopened(path)) == ["a", "b"]
