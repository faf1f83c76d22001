"""A whole NeTS over real UDP: calls are placed, changed, moved and ended by phones that speak SIP."""

from __future__ import annotations

import json
import random

import pytest
import trio

from mediaha.model.media import Fault, MediaRefused
from mediaha.nets import Limits, read_back, write_down
from mediaha.sip.message import Headers, Request
from tests.nets.network import BadNetwork
from tests.nets.phone import phone_sdp
from tests.nets.world import open_world, until

A, B = 10000, 20000


async def test_a_call_from_invite_to_bye():
    async with open_world() as world:
        mine, theirs = await world.connect()
        assert A <= mine.port < B
        assert A <= theirs.port < B
        assert mine.port != theirs.port
        assert mine.statuses == [180, 200]
        mine.bye()
        await theirs.over.wait()
        await world.empties()
        assert len(world.pool.deleted) == 1


async def test_the_callee_hangs_up():
    async with open_world() as world:
        mine, theirs = await world.connect()
        theirs.bye()
        await mine.over.wait()
        await world.empties()


async def test_busy_is_busy_and_nothing_is_left():
    async with open_world(targets=2) as world:
        world.callee.script = [180, 486]
        mine = world.caller.call(world.nets.address)
        await mine.refused.wait()
        assert mine.statuses == [180, 486]
        await world.empties()


async def test_the_caller_gives_up_while_it_rings():
    async with open_world() as world:
        world.callee.script = [180, None]
        mine = world.caller.call(world.nets.address)
        theirs = await world.callee.rings.receive()
        await mine.ringing.wait()
        world.caller.endpoint.cancel(mine.key)
        await mine.refused.wait()
        assert mine.statuses[-1] == 487
        await theirs.over.wait()
        await world.empties()


async def test_hold_and_resume_from_either_side():
    async with open_world() as world:
        mine, theirs = await world.connect()
        for one, other in ((mine, theirs), (theirs, mine)):
            answer = await one.ask("INVITE", phone_sdp(4000, "sendonly", 2))
            assert answer.status == 200
            assert b"a=sendonly" in other.heard
            answer = await one.ask("INVITE", phone_sdp(4000, "sendrecv", 3))
            assert answer.status == 200
            assert b"a=sendrecv" in other.heard
        assert theirs.versions == sorted(theirs.versions)
        mine.bye()
        await world.empties()


async def test_a_session_change_without_an_offer_is_the_other_partys():
    async with open_world() as world:
        mine, theirs = await world.connect()
        answer = await mine.ask("INVITE")
        assert answer.status == 200
        assert A <= mine.port < B
        await until(lambda: theirs.reinvites == 1)
        theirs.bye()
        await world.empties()


async def test_a_delayed_offer_from_the_start():
    async with open_world() as world:
        mine = world.caller.call(world.nets.address, offer=False)
        theirs = await world.callee.rings.receive()
        await mine.answered.wait()
        await theirs.acked.wait()
        assert A <= mine.port < B
        assert A <= theirs.port < B
        world.pool.crash("a")
        await mine.until_port(lambda port: port >= B)
        await theirs.until_port(lambda port: port >= B)
        mine.bye()
        await world.empties()


async def test_a_crash_moves_both_parties_to_the_next_server():
    async with open_world() as world:
        mine, theirs = await world.connect()
        world.pool.crash("a")
        await mine.until_port(lambda port: port >= B)
        await theirs.until_port(lambda port: port >= B)
        assert mine.port != theirs.port
        assert mine.versions == [1, 2], "the same session, a newer version"
        theirs.bye()
        await mine.over.wait()
        await world.empties()


async def test_a_crash_while_it_rings_is_not_noticed_by_the_phone():
    async with open_world() as world:
        world.callee.script = [180, None]
        mine = world.caller.call(world.nets.address)
        theirs = await world.callee.rings.receive()
        await mine.ringing.wait()
        world.pool.crash("a")
        await until(lambda: "moved" in json.dumps(world.nets.explain(mine.invite.call_id)))
        world.callee.respond(theirs, 200)
        await mine.answered.wait()
        assert mine.port >= B, "answered on the live server"
        await theirs.until_port(lambda port: port >= B)
        mine.bye()
        await theirs.over.wait()
        await world.empties()


async def test_a_crash_after_early_media_reaches_the_caller_with_and_after_the_answer():
    async with open_world() as world:
        world.callee.script = ["early", None]
        mine = world.caller.call(world.nets.address)
        theirs = await world.callee.rings.receive()
        await mine.ringing.wait()
        assert mine.port < B
        world.pool.crash("a")
        await until(lambda: "moved" in json.dumps(world.nets.explain(mine.invite.call_id)))
        world.callee.respond(theirs, 200)
        await mine.answered.wait()
        assert mine.port >= B
        await until(lambda: mine.reinvites == 1)
        await until(lambda: theirs.reinvites == 1)
        theirs.bye()
        await world.empties()


async def test_both_parties_glare_and_are_asked_again():
    async with open_world() as world:
        mine, theirs = await world.connect()
        world.caller.reinvite_with = [491]
        world.pool.crash("a")
        await theirs.until_port(lambda port: port >= B)
        await mine.until_port(lambda port: port >= B)
        assert mine.reinvites == 2
        mine.bye()
        await world.empties()


async def test_a_party_that_refuses_gets_a_clean_end_with_a_reason():
    async with open_world() as world:
        mine, theirs = await world.connect()
        world.callee.reinvite_with = [488]
        world.pool.crash("a")
        await mine.over.wait()
        await theirs.over.wait()
        assert "488" in mine.why
        assert "488" in theirs.why
        await world.empties()


async def test_stranded_calls_are_kept_until_a_server_is_back():
    async with open_world() as world:
        mine, theirs = await world.connect()
        world.pool.live["b"] = False
        world.pool.crash("a")
        await until(lambda: "stranded" in json.dumps(world.nets.explain(mine.invite.call_id)))
        world.pool.revive("b")
        await mine.until_port(lambda port: port >= B)
        await theirs.until_port(lambda port: port >= B)
        mine.bye()
        await world.empties()


async def test_a_call_is_not_stranded_for_ever():
    async with open_world(limits=Limits(stranded_s_max=0.2)) as world:
        mine, theirs = await world.connect()
        world.pool.live["b"] = False
        world.pool.crash("a")
        await mine.over.wait()
        await theirs.over.wait()
        assert "503" in mine.why
        await world.empties()


async def test_hundreds_of_calls_move_at_once():
    async with open_world() as world:
        calls = [await world.connect() for _ in range(50)]
        world.pool.crash("a")
        for mine, theirs in calls:
            await mine.until_port(lambda port: port >= B)
            await theirs.until_port(lambda port: port >= B)
        for mine, _ in calls:
            mine.bye()
        await world.empties()


async def test_the_first_target_is_dead():
    async with open_world(targets=2, limits=Limits(target_s_max=0.2)) as world:
        world.callee.script = [None]
        world.callee._invited = lambda event: None
        mine = world.caller.call(world.nets.address)
        theirs = await world.second.rings.receive()
        await mine.answered.wait()
        await theirs.acked.wait()
        mine.bye()
        await theirs.over.wait()


async def test_no_media_server_is_503_with_retry_after():
    async with open_world() as world:
        world.pool.live = dict.fromkeys(world.pool.live, False)
        mine = world.caller.call(world.nets.address)
        await mine.refused.wait()
        assert mine.final.status == 503
        assert mine.final.headers.get("Retry-After") == "5"
        await world.empties()


async def test_the_callers_fault_is_488():
    async with open_world() as world:
        world.pool.refuse = MediaRefused(Fault.CALLER, "no m= line")
        mine = world.caller.call(world.nets.address)
        await mine.refused.wait()
        assert mine.final.status == 488
        assert "no m= line" in mine.final.headers.get("Warning")


async def test_cancel_while_the_pool_is_slow_leaves_nothing_behind():
    async with open_world() as world:
        world.pool.hold = trio.Event()
        mine = world.caller.call(world.nets.address)
        await until(lambda: world.pool.asked)
        # The layer sends no CANCEL before a provisional response: 100 comes after 200 ms.
        world.caller.endpoint.cancel(mine.key)
        await mine.refused.wait()
        assert mine.final.status == 487
        world.pool.hold.set()
        await world.empties()
        await until(lambda: world.pool.deleted)


async def _asked(world, method, uri, **headers):
    fields = [
        ("From", "<sip:x@pbx.test>;tag=t"), ("To", f"<{uri}>"), ("Call-ID", f"{method}-{uri}"),
        ("CSeq", f"1 {method}"),
        ("Contact", "<sip:x@127.0.0.1>"), *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]  # fmt: skip
    heard, outcomes = trio.open_memory_channel(10)
    request = Request(method, uri, Headers(fields))
    world.caller.endpoint.send(request, world.nets.address, heard.send_nowait)
    async for outcome in outcomes:
        if outcome.status >= 200:
            return outcome
    return None


@pytest.mark.parametrize(("method", "uri", "headers", "status"), [
    ("INVITE", "sip:x@nowhere.test", {}, 404),
    ("INVITE", "sips:x@desk.test", {}, 416),
    ("INVITE", "sip:x@desk.test", {"Max_Forwards": "0"}, 483),
    ("INVITE", "sip:x@desk.test", {"Require": "precondition"}, 420),
    ("INVITE", "sip:x@desk.test", {"Require": 'a, "100rel'}, 400),
    ("INVITE", "sip:x@desk.test", {"Accept": "text/plain, application/pidf+xml"}, 406),
    ("REFER", "sip:x@desk.test", {"Refer_To": "<sip:y@desk.test>"}, 403),
    ("REGISTER", "sip:desk.test", {}, 405),
    ("FROBNICATE", "sip:desk.test", {}, 501),
    ("BYE", "sip:x@desk.test", {}, 481),
    ("OPTIONS", "sip:desk.test", {}, 200),
])  # fmt: skip
async def test_requests_outside_calls(method, uri, headers, status):
    async with open_world() as world:
        response = await _asked(world, method, uri, **headers)
        assert response.status == status
        if status in {405, 501}:
            assert "INVITE" in response.headers.get("Allow")
        if status == 420:
            assert response.headers.get("Unsupported") == "precondition"


async def test_an_invite_that_comes_by_two_ways_is_taken_once():
    async with open_world() as world:
        world.callee.script = [180, None]
        mine = world.caller.call(world.nets.address)
        await mine.ringing.wait()
        heard, outcomes = trio.open_memory_channel(10)
        world.caller.endpoint.send(mine.invite, world.nets.address, heard.send_nowait)
        assert (await outcomes.receive()).status == 482


async def test_our_own_invite_that_comes_back_unchanged_is_a_loop():
    async with open_world() as world:
        world.callee.script = [180, None]
        mine = world.caller.call(world.nets.address)
        theirs = await world.callee.rings.receive()
        await mine.ringing.wait()
        heard, outcomes = trio.open_memory_channel(10)
        again = theirs.invite.with_headers(theirs.invite.headers.without("Via"))
        world.callee.endpoint.send(again, world.nets.address, heard.send_nowait)
        assert (await outcomes.receive()).status == 482


async def test_options_tells_the_truth():
    async with open_world() as world:
        world.pool.live = {"a": False, "b": False}
        response = await _asked(world, "OPTIONS", "sip:desk.test")
        assert response.status == 503
        assert response.headers.get("Retry-After")


async def test_whoever_cannot_read_as_fast_as_it_comes_takes_no_new_calls():
    async with open_world(limits=Limits(behind_s_max=0.0)) as world:
        others = [world.caller.call(world.nets.address) for _ in range(200)]
        await until(lambda: all(call.answered.is_set() or call.refused.is_set() for call in others))
        assert 503 in {call.statuses[-1] for call in others}
        later = world.caller.call(world.nets.address)
        await later.answered.wait()


async def test_too_many_calls():
    async with open_world(limits=Limits(calls_max=1)) as world:
        await world.connect()
        mine = world.caller.call(world.nets.address)
        await mine.refused.wait()
        assert mine.final.status == 503


async def test_draining_refuses_new_calls_and_lets_the_others_end():
    async with open_world() as world:
        mine, theirs = await world.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.nets.drain, 5.0)
            await until(lambda: world.nets.draining)
            late = world.caller.call(world.nets.address)
            await late.refused.wait()
            assert late.final.status == 503
            mine.bye()
            await theirs.over.wait()
        await world.empties()


async def test_an_invite_that_was_refused_is_refused_again_though_there_is_room_by_then():
    """Copies of it may have waited in our socket; its caller has been told, and would not be there any more."""
    async with open_world() as world:
        invite = (
            f"INVITE sip:desk@desk.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKtwice\r\n"
            f"From: <sip:ann@pbx.test>;tag=ann\r\nTo: <sip:desk@desk.test>\r\nCall-ID: twice\r\nCSeq: 1 INVITE\r\n"
            f"Contact: {world.caller.contact}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.bind(("127.0.0.1", 0))
            for draining in (True, False):
                world.nets._reception.draining = draining
                await sock.sendto(invite, tuple(world.nets.address))
                with trio.fail_after(10):
                    assert (await sock.recv(9000)).startswith(b"SIP/2.0 503 ")
        assert not world.nets.calls()


async def test_draining_ends_what_is_left_at_the_deadline():
    async with open_world() as world:
        mine, theirs = await world.connect()
        await world.nets.drain(0.05)
        await mine.over.wait()
        await theirs.over.wait()
        assert "503" in mine.why
        await world.empties()


async def test_draining_is_not_held_up_by_a_target_that_never_said_a_word(monkeypatch):
    """RFC 3261 section 9.1: an INVITE without any response cannot be cancelled, and may be answered for 64*T1."""
    monkeypatch.setattr("mediaha.nets.nets.BYE_S_MAX", 0.1)
    async with open_world() as world:
        silent = BadNetwork(world.callee.endpoint, world.nursery, random.Random(0), 0.0)
        silent.vanish()
        mine = world.caller.call(world.nets.address)
        await until(lambda: any(status == 100 for status in mine.statuses))
        world.caller.endpoint.cancel(mine.key)
        await mine.refused.wait()
        assert (len(world.nets.calls()), world.nets.ending()) == (1, 1)
        with trio.fail_after(20):
            await world.nets.drain(30)


async def test_a_call_can_be_explained_by_any_of_its_names():
    async with open_world() as world:
        mine, theirs = await world.connect()
        world.pool.crash("a")
        await mine.until_port(lambda port: port >= B)
        await until(lambda: "'told'" in str(world.nets.explain(mine.invite.call_id)))  # its 200 and its BYE may race
        mine.bye()
        await theirs.over.wait()
        await world.empties()
        story = world.nets.explain(mine.invite.call_id)
        assert story == world.nets.explain(theirs.invite.call_id) == world.nets.explain(story["call_id"])
        told = [event["what"] for event in story["events"]]
        assert told[:5] == ["placed", "anchored", "invited", "ringing", "answered"]
        assert {"connected", "moved", "told", "hung up", "ended"} <= set(told)
        assert story["events"][1]["attempts"][0]["server"] == "a"
        assert story["state"] == "over"
        json.dumps(story)
        json.dumps(world.nets.status())


async def test_another_nets_goes_on_with_a_call():
    class Notebook:
        written: dict[str, bytes] = {}  # noqa: RUF012 - one world has one of them

        def write(self, call):
            self.written[call.id] = write_down(call)

        def forget(self, call_id):
            self.written.pop(call_id, None)

    notebook = Notebook()
    async with open_world(checkpoint=notebook) as world:
        mine, theirs = await world.connect()
        (text,) = notebook.written.values()
        world.nets._carrier.tables.remove(next(iter(world.nets._carrier.tables.calls.values())))
        world.pool.calls.clear()
        assert world.nets.calls() == ()

        assert await world.nets.adopt(read_back(text))
        world.pool.crash("a")
        await mine.until_port(lambda port: port >= B)
        await theirs.until_port(lambda port: port >= B)
        mine.bye()
        await theirs.over.wait()
        await until(lambda: not notebook.written)
        await world.empties()


async def test_info_is_passed_on():
    async with open_world() as world:
        mine, theirs = await world.connect()
        heard = []
        original = world.callee._in_dialog

        def listen(event):
            heard.append(event.request)
            original(event)

        world.callee._in_dialog = listen
        answer = await mine.ask("INFO", b"Signal=5")
        assert answer.status == 200
        assert heard[0].method == "INFO"
        assert heard[0].body == b"Signal=5"
        theirs.bye()
        await world.empties()
