"""One line a decision, whatever is in it."""

import json
import os

import pytest
import structlog

from mediaha.ops.levels import LogFormat, LogLevel
from mediaha.ops.logs import log_to


@pytest.fixture
def written(tmp_path):
    """A file to log into, and what it holds afterwards."""
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    yield fd, path.read_text
    os.close(fd)


def test_json_lines_have_time_level_event_and_the_facts(written):
    fd, read = written
    with log_to(fd, LogFormat.JSON, LogLevel.INFO):
        log = structlog.get_logger()
        log.info("call moved", call_id="a@b", server="media-2", sdp=b"v=0\xff", odd=object)
        log.debug("not this one")
    line = json.loads(read())
    assert line["event"] == "call moved"
    assert line["level"] == "info"
    assert line["call_id"] == "a@b"
    assert next(iter(line)) == "time"


def test_a_fact_that_cannot_be_written_costs_only_itself(written):
    class Odd:
        def __str__(self):
            raise ValueError("no text")

    fd, read = written
    with log_to(fd, LogFormat.JSON, LogLevel.INFO):
        structlog.get_logger().info("odd", fact=Odd())
    assert "ValueError" in json.loads(read())["unwritable"]


def test_console_lines_are_for_people(written):
    fd, read = written
    with log_to(fd, LogFormat.CONSOLE, LogLevel.INFO):
        structlog.get_logger().warning("call moved", call_id="a@b")
    assert "call moved" in read()
    assert "call_id=a@b" in read()
