"""The control socket answers its owner, and survives everybody else."""

import json
import os
import socket
import stat

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediaha.model.errors import MediahaError
from mediaha.ops.asking import Declined, NotServing, ask
from mediaha.ops.control import CONNECTIONS_MAX, LINE_BYTES_MAX, ControlTaken, serve_control


async def echo(request):
    return request


async def decline(_request):
    raise MediahaError("not today")


async def crash(_request):
    raise ZeroDivisionError


VERBS = {"echo": echo, "decline": decline, "crash": crash}


@pytest.fixture
async def path(tmp_path, nursery):
    return await nursery.start(serve_control, tmp_path / "control.sock", VERBS)


async def said(path, *lines):
    """What comes back for raw lines on one connection."""
    stream = await trio.open_unix_socket(path)
    async with stream:
        await stream.send_all(b"".join(lines))
        await stream.send_eof()
        found = b""
        with trio.fail_after(5):
            async for chunk in stream:
                found += chunk
        return [json.loads(line) for line in found.splitlines()]


async def asked(verb, path, **arguments):
    return await trio.to_thread.run_sync(lambda: ask(verb, path, **arguments))


async def test_a_question_is_answered(path):
    assert await asked("echo", path, a=[1, "ü"]) == {"verb": "echo", "a": [1, "ü"]}


async def test_only_the_owner_may_open_it(path):
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_a_refusal_is_a_sentence_and_a_crash_of_a_verb_ends_nothing(path):
    with pytest.raises(Declined, match="not today"):
        await asked("decline", path)
    with pytest.raises(Declined, match="ZeroDivisionError"):
        await asked("crash", path)
    with pytest.raises(Declined, match="unknown verb 'stauts'; there are crash, decline, echo"):
        await asked("stauts", path)
    assert await asked("echo", path)


async def test_several_questions_on_one_connection(path):
    assert await said(path, b'{"verb":"echo"}\n{"verb"', b':"decline"}\nnonsense\n[]\n') == [
        {"ok": {"verb": "echo"}},
        {"error": "not today"},
        {"error": "not a JSON object: JSON is malformed: invalid character (byte 4)"},
        {"error": "not a JSON object: Expected `object`, got `array`"},
    ]


async def test_a_line_without_end_is_cut_off(path):
    (answer,) = await said(path, b"x" * (LINE_BYTES_MAX + 1))
    assert "at most" in answer["error"]


async def test_too_many_who_say_nothing_do_not_shut_the_owner_out_for_ever(path):
    idle = [await trio.open_unix_socket(path) for _ in range(CONNECTIONS_MAX)]
    with pytest.raises(Declined, match="others are connected"):
        await asked("echo", path)
    await idle.pop().aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert await asked("echo", path)
    for stream in idle:
        await stream.aclose()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_survived(tmp_path_factory, junk):
    async def story():
        path = tmp_path_factory.mktemp("c") / "control.sock"
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, path, VERBS)
            await said(path, junk, b"\n")
            assert await asked("echo", path)
            nursery.cancel_scope.cancel()

    trio.run(story)


async def test_a_second_mediaha_is_told_and_a_leftover_is_replaced(tmp_path):
    where = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(where))
    with pytest.raises(NotServing, match="left over"):
        await asked("echo", where)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, where, VERBS)
        with pytest.raises(ControlTaken, match="another mediaha answers"):
            await serve_control(where, VERBS)
        assert await asked("echo", where)
        nursery.cancel_scope.cancel()
    assert not where.exists()


async def test_what_is_not_a_socket_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ControlTaken, match="is not a socket"):
        await serve_control(tmp_path / "file", VERBS)
    with pytest.raises(ControlTaken, match="longer than"):
        await serve_control(tmp_path / ("x" * 120), VERBS)
    with pytest.raises(ControlTaken, match="no such file"):
        await serve_control(tmp_path / "nowhere" / "x", VERBS)
