"""Media for calls from real media servers over loopback, while they crash, hang and come back."""

import socket
import time

import pytest
import trio
import trio.testing

from mediaha import _core
from mediaha.failover import MediaPool, open_pool
from mediaha.load import Load
from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.model.media import Anchored, Fault, MediaRefused, Moved, ServerChanged, ServerCondition, Stranded
from mediaha.model.site import MediaServerSpec, Timings
from tests.failover.world import Phone, audio_at, notices_until, open_world, sdp, spec, until


@pytest.fixture
def load():
    load = Load()
    yield load
    load.close()


async def test_a_call_is_placed_on_the_first_server_of_its_list(pool_with):
    async with pool_with("a", "b") as world:
        anchored = await world.pool.offer("call-1", "from", None, sdp(4000), ["b", "a"])
        assert anchored.story[0].server == "b"
        # On a busy machine it may be late: then the other one is asked as well, and the first to answer has the call.
        assert (anchored.server, "answered") in [(attempt.server, attempt.outcome) for attempt in anchored.story]
        assert anchored.server == "b" or len(anchored.story) == 2
        assert audio_at(anchored.sdp) != "127.0.0.1:4000"
        has = {name: int(name == anchored.server) for name in ("a", "b")}
        await until("it is counted", lambda: {view.name: view.calls for view in world.pool.servers()} == has)
        await world.pool.delete("call-1")
        assert world.running[anchored.server].statistics()["sessions"] == 0


async def test_a_server_that_crashes_mid_call_is_replaced_by_the_next(pool_with, load):
    """The parties keep talking while server a dies; b must carry the media."""
    async with pool_with("a", "b") as world:
        phone = Phone(load)
        await phone.call(world.pool, "call-1", ["a", "b"])
        phone.talk()
        await until("both hear each other", lambda: phone.heard() > 5)
        world.crash("a")
        moved = await notices_until(world.pool, Moved)
        assert (moved.call_id, moved.from_server, moved.server) == ("call-1", "a", "b")
        assert moved.sdp_for_caller is not None
        assert moved.sdp_for_callee is not None
        heard = phone.heard()
        phone.told(moved.sdp_for_caller, moved.sdp_for_callee)
        await until("both hear each other again", lambda: phone.heard() > heard + 10)
        assert world.running["b"].statistics()["sessions"] == 1


async def test_a_call_that_still_rings_moves_too_and_is_answered_on_the_new_server(pool_with, load):
    async with pool_with("a", "b") as world:
        phone = Phone(load)
        await world.pool.offer("call-1", "from", None, phone.sdp(phone.caller), ["a", "b"])
        world.crash("a")
        moved = await notices_until(world.pool, Moved)
        assert moved.sdp_for_caller is None
        assert moved.sdp_for_callee is not None
        answered = await world.pool.answer("call-1", "from", "to", phone.sdp(phone.callee))
        assert answered.server == "b"
        phone.told(answered.sdp, moved.sdp_for_callee)
        phone.talk()
        await until("both hear each other", lambda: phone.heard() > 10)


async def test_an_answer_that_was_on_its_way_when_the_call_moved_is_told_after_the_move(pool_with):
    """Whoever is told of the move last would believe what held before the answer."""
    async with pool_with("a", "b") as world:
        await world.pool.offer("call-1", "from", None, sdp(4000), ["a", "b"])
        told = []
        world.pool.give_notices(lambda notice: isinstance(notice, Moved) and told.append(notice))
        world.crash("a")
        world.pool.begin_answer("call-1", "from", "to", sdp(4002), None, told.append)
        await until("both are told", lambda: len(told) == 2)
        assert [type(one) for one in told] == [Moved, Anchored]
        assert [one.server for one in told] == ["b", "b"]


async def test_notices_that_wait_for_a_reader_are_given_at_once(pool_with):
    async with pool_with("a", "b") as world:
        await world.pool.offer("call-1", "from", None, sdp(4000), ["a", "b"])
        world.crash("a")
        waiting = world.pool.notices().statistics
        # Of the servers there are as many as changes, so that one more is about the call.
        await until("one is there", lambda: waiting().current_buffer_used > len(world.pool.changes()))
        told = []
        world.pool.give_notices(told.append)
        assert Moved in map(type, told)


async def test_without_another_server_the_call_strands_and_moves_when_one_is_back(pool_with, load):
    async with pool_with("a") as world:
        phone = Phone(load)
        await phone.call(world.pool, "call-1", ["a"])
        world.crash("a")
        stranded = await notices_until(world.pool, Stranded)
        assert (stranded.call_id, stranded.server) == ("call-1", "a")
        await trio.testing.wait_all_tasks_blocked()
        await world.start("a")
        moved = await notices_until(world.pool, Moved, within_s=10)
        assert (moved.call_id, moved.server) == ("call-1", "a")


async def test_the_supervisors_word_is_enough(pool_with, load):
    """A process that is known to have exited is not asked whether it lives: this one does, and would say so."""
    async with pool_with("a", "b") as world:
        phone = Phone(load)
        await phone.call(world.pool, "call-1", ["a", "b"])
        world.pool.died("a", "exit status 1")
        changed = await notices_until(world.pool, ServerChanged)
        while changed.condition is not ServerCondition.DEAD:
            changed = await notices_until(world.pool, ServerChanged)
        assert changed.server == "a"
        assert "exit status 1" in changed.why
        moved = await notices_until(world.pool, Moved)
        assert moved.server == "b"


async def test_a_black_holed_first_server_costs_little_once_and_then_nothing():
    """Bound and never read: no answer, no error. Once that is known, it is not even asked before the next one.

    How soon the next one is asked the first time is told in virtual time, in rust/failover.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        hole = MediaServerSpec("hole", "there", Address(*black_hole.getsockname()), managed=False)
        async with open_world("b", foreign=[hole]) as world:
            first = await asked(world.pool, "first")
            assert first[-1] == ("b", "answered")
            await until("the hole is known", lambda: condition(world.pool, "hole") is ServerCondition.DEAD)
            for number in range(6):
                assert await asked(world.pool, f"later-{number}") == [("b", "answered")]


async def asked(pool, call_id):
    """Which servers were asked for media, and what came of it."""
    anchored = await pool.offer(call_id, "from", None, sdp(4000), ["hole", "b"])
    return [(attempt.server, attempt.outcome) for attempt in anchored.story]


def condition(pool, name):
    return next(view.condition for view in pool.servers() if view.name == name)


async def test_a_draining_server_gets_no_new_calls(pool_with):
    async with pool_with("a", "b") as world:
        world.pool.drain("a")
        await until("a drains", lambda: condition(world.pool, "a") is ServerCondition.DRAINING)
        assert (await world.pool.offer("call-1", "from", None, sdp(4000), ["a", "b"])).server == "b"


async def test_servers_can_be_replaced_while_calls_go_on(pool_with, load):
    async with pool_with("a", "b") as world:
        phone = Phone(load)
        await phone.call(world.pool, "call-1", ["a"])
        world.pool.configure([world.specs["b"]])
        await until("only b is listed", lambda: [view.name for view in world.pool.servers()] == ["b"])
        await world.pool.delete("call-1")
        await until("a was told", lambda: world.running["a"].statistics()["sessions"] == 0)


async def test_an_unusable_sdp_is_the_callers_fault(pool_with):
    async with pool_with("a", "b") as world:
        with pytest.raises(MediaRefused) as refusal:
            await world.pool.offer("call-1", "from", None, b"this is no SDP", ["a", "b"])
        assert refusal.value.fault is Fault.CALLER
        assert [attempt.server for attempt in refusal.value.story] == ["a"]
        with pytest.raises(MediaRefused) as refusal:
            await world.pool.offer("call-2", "from", None, b"v=0\r\n" * 20_000, ["a", "b"])
        assert refusal.value.fault is Fault.CALLER


async def test_no_server_at_all_is_said_with_the_story():
    nobody = spec("gone", 9)
    async with open_pool([nobody], Timings()) as pool:
        with pytest.raises(MediaRefused) as refusal:
            await pool.offer("call-1", "from", None, sdp(4000), ["gone"])
        assert refusal.value.fault is Fault.NO_SERVER
        with pytest.raises(MediaRefused) as refusal:
            await pool.answer("call-9", "from", "to", sdp(4000))
        assert refusal.value.fault is Fault.UNKNOWN_CALL
        await pool.delete("call-9")


async def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing_behind():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        hole = MediaServerSpec("hole", "there", Address(*black_hole.getsockname()), managed=False)
        async with open_pool([hole], Timings()) as pool:
            with trio.move_on_after(0.01) as impatient:
                await pool.offer("call-1", "from", None, sdp(4000), ["hole"])
            assert impatient.cancelled_caught
            with trio.fail_after(5):
                await pool.delete("call-1")


async def test_what_the_block_raises_comes_out_as_it_is():
    with pytest.raises(KeyError):
        async with open_pool([], Timings()):
            raise KeyError


async def test_two_servers_of_one_name_are_a_mistake():
    with pytest.raises(MediahaError, match='two media servers are called "a"'):
        async with open_pool([spec("a", 2223), spec("a", 2224)], Timings()):
            pass


async def test_hundreds_of_calls_move_and_every_one_is_told_although_nobody_reads_for_a_while(pool_with):
    async with pool_with("a", "b") as world:
        on_a = set()

        async def place(call_id):
            # Under this burst a hedged offer may win: then the call is on b and stays there.
            if (await world.pool.offer(call_id, "from", None, sdp(4000), ["a", "b"])).server == "a":
                on_a.add(call_id)
            await world.pool.answer(call_id, "from", "to", sdp(5000))

        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(place, f"call-{number}")
        world.crash("a")
        await until("a is closed", lambda: condition(world.pool, "a") is ServerCondition.DEAD)
        time.sleep(0.3)  # noqa: ASYNC251 - Python is busy: the pool must not need it
        moved = set()
        with trio.fail_after(5):
            while moved != on_a:
                notice = await notices_until(world.pool, Moved)
                assert notice.server == "b"
                moved.add(notice.call_id)
        assert world.running["b"].statistics()["sessions"] == 300


async def test_whoever_has_many_calls_asks_without_a_task_for_each(pool_with):
    async with pool_with("a") as world:
        told, calls = [], [f"call-{number}" for number in range(50)]
        for call_id in calls:
            world.pool.begin_offer(call_id, "from", None, sdp(4000), ["a"], None, told.append)
        await until("all are placed", lambda: len(told) == 50)
        assert {outcome.server for outcome in told} == {"a"}
        world.pool.begin_offer("call-51", "from", None, b"no sdp", ["a"], None, told.append)
        await until("a refusal is told as well", lambda: isinstance(told[-1], MediaRefused))
        for call_id in calls:
            world.pool.begin_delete(call_id)
        await until("all are deleted", lambda: world.running["a"].statistics()["sessions"] == 0)


async def test_deletions_for_which_the_queue_has_no_room_are_not_lost(pool_with):
    async with pool_with("a") as world:
        core = _core.Pool(servers=[("a", str(world.specs["a"].ng))], commands_max=2)
        pool = MediaPool(core)
        told, calls = [], [f"call-{number}" for number in range(20)]
        world.nursery.start_soon(pool.run)
        for number, call_id in enumerate(calls):
            pool.begin_offer(call_id, "from", None, sdp(4000), ["a"], None, told.append)
            await until("it is placed", lambda: len(told) > number)  # noqa: B023
        for call_id in calls:
            pool.begin_delete(call_id)
        await until("all are deleted", lambda: world.running["a"].statistics()["sessions"] == 0)
        pool.close()
