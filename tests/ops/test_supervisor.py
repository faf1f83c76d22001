"""Processes that are kept running, with small programs in the place of media servers."""

import os
import sys

import pytest
import structlog
import trio

from mediaha.ops.kept import Running, StartFailed, Waiting
from mediaha.ops.supervisor import Supervisor
from mediaha.tca import standalone_site

FIRST, SECOND = standalone_site().media
READY = "print('{\"ready\": {}}', flush=True); sys.stdin.read()"


def program(text):
    return lambda _spec: [sys.executable, "-c", f"import os, sys, time; {text}"]


async def until(true):
    """Wait until ``true()`` is."""
    while not true():  # noqa: ASYNC110 - what another process does sets no event
        await trio.sleep(0.005)


@pytest.fixture
def deaths():
    """What was said of processes that ended, and a way to wait for it."""
    send, receive = trio.open_memory_channel(100)
    return lambda name, why: send.send_nowait((name, why)), receive


async def test_one_that_cannot_start_says_why_and_is_not_tried_again(nursery, deaths):
    died, _ = deaths
    text = 'print(\'{"failed": "the port is taken"}\', flush=True); sys.exit(1)'
    supervisor = Supervisor(nursery, program(text), died)
    with pytest.raises(StartFailed, match="the port is taken"):
        await supervisor.start(FIRST)
    assert supervisor.states() == {}


async def test_one_that_crashes_before_it_is_ready_is_named_with_its_signal(nursery, deaths):
    died, _ = deaths
    supervisor = Supervisor(nursery, program("os.abort()"), died)
    with pytest.raises(StartFailed) as caught:
        await supervisor.start_all([FIRST, SECOND])
    assert sorted(str(caught.value).splitlines()) == [
        f"media server {name}: process exited with signal 6 (SIGABRT)" for name in ("media-1", "media-2")
    ]


async def test_a_command_that_does_not_exist_is_named(nursery, deaths):
    died, _ = deaths
    supervisor = Supervisor(nursery, lambda _spec: ["/nowhere/mediaha"], died)
    with pytest.raises(StartFailed, match="cannot run /nowhere/mediaha: No such file"):
        await supervisor.start(FIRST)


async def test_a_death_is_told_and_followed_by_a_new_process(nursery, deaths):
    died, told = deaths
    supervisor = Supervisor(nursery, program(READY), died)
    await supervisor.start(FIRST)
    running = supervisor.states()["media-1"]
    assert isinstance(running, Running)
    os.kill(running.pid, 9)
    with trio.fail_after(10):
        assert await told.receive() == ("media-1", "process exited with signal 9 (SIGKILL)")
        await until(lambda: isinstance(state := supervisor.states()["media-1"], Running) and state.pid != running.pid)
    supervisor.stop("media-1")
    assert supervisor.states() == {}


async def test_one_that_keeps_failing_later_waits_longer_each_time(nursery, deaths):
    died, told = deaths
    supervisor = Supervisor(nursery, program("sys.exit(3)"), died)
    supervisor.start_later(FIRST)
    delays = []
    with trio.fail_after(20):
        while len(delays) < 3:
            assert await told.receive() == ("media-1", "process exited with status 3")
            await until(lambda: isinstance(supervisor.states()["media-1"], Waiting))
            state = supervisor.states()["media-1"]
            delays.append(round(state.until - state.since, 2))
            await trio.sleep(state.until - trio.current_time() + 0.01)
    assert delays == [0.1, 0.2, 0.4]
    nursery.cancel_scope.cancel()


async def test_what_it_logs_is_logged_with_its_name_and_junk_is_kept_too(nursery, deaths):
    died, _ = deaths
    lines = '{\\"event\\":\\"a\\",\\"level\\":\\"warning\\",\\"call_id\\":\\"x\\"}\\\\nnot json\\\\n'
    text = f'sys.stderr.write("{lines}" + "y" * 70000); sys.stderr.flush(); {READY}'.replace("\\\\n", "\\n")
    with structlog.testing.capture_logs() as logged:
        supervisor = Supervisor(nursery, program(text), died)
        await supervisor.start(FIRST)
        with trio.fail_after(5):
            await until(lambda: len(logged) >= 4)
        nursery.cancel_scope.cancel()
    events = [(line["event"], line["log_level"], line.get("text", "")[:8], line["server"]) for line in logged]
    assert ("a", "warning", "", "media-1") in events
    assert ("media server wrote", "warning", "not json", "media-1") in events
    assert ("media server wrote", "warning", "yyyyyyyy", "media-1") in events
