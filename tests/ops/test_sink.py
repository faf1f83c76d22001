"""A log that nobody reads, or that cannot be written, costs lines and never a call."""

import contextlib
import os
import time

import pytest

from mediaha.ops.sink import LineSink


def notice(count):
    return f"{count} dropped"


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(end)


def read_all(fd):
    os.set_blocking(fd, False)
    found = b""
    while True:
        try:
            chunk = os.read(fd, 1 << 16)
        except BlockingIOError:
            return found
        if not chunk:
            return found
        found += chunk


def test_lines_come_out_in_order_and_the_end_waits_for_them(pipe):
    reader, writer = pipe
    sink = LineSink(writer, notice)
    for number in range(100):
        sink.write(f"line {number}")
    sink.close()
    assert read_all(reader).decode().splitlines() == [f"line {number}" for number in range(100)]


def test_a_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(pipe):
    reader, writer = pipe
    sink = LineSink(writer, notice, lines_max=10)
    for _ in range(5000):
        sink.write("x" * 1000)  # one that waited for the reader would wait for ever
    assert sink.dropped > 4000
    found = b""
    deadline = time.monotonic() + 10
    os.set_blocking(reader, False)
    while b"dropped\n" not in found and time.monotonic() < deadline:
        sink.write("more")
        try:
            found += os.read(reader, 1 << 16)
        except BlockingIOError:
            time.sleep(0.001)
    assert b" dropped\n" in found
    sink.close(0.1)


def test_a_closed_pipe_is_counted(pipe):
    reader, writer = pipe
    os.close(reader)
    sink = LineSink(writer, notice)
    sink.write("into the void")
    sink.close()
    assert sink.dropped == 1


def test_a_full_disk_is_counted():
    full = os.open("/dev/full", os.O_WRONLY)
    sink = LineSink(full, notice)
    sink.write("no space")
    sink.close()
    os.close(full)
    assert sink.dropped == 1


def test_the_end_does_not_wait_for_a_reader_that_never_reads(pipe):
    _, writer = pipe
    sink = LineSink(writer, notice, lines_max=100)
    for _ in range(200):
        sink.write("x" * 2000)
    sink.close(0.2)  # and not for ever
