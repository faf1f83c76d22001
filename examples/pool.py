"""A call that outlives its media server, without any SIP.

    python examples/pool.py

Two media servers run in this process, a pool watches them, a call is placed on the first, which is then stopped, and
the pool says where both parties are to send their audio now.
"""

import logging
import time
from dataclasses import replace

import structlog
import trio

from mediaha.failover import MediaPool, open_pool
from mediaha.media import RunningMedia, serve_media
from mediaha.model.address import Address
from mediaha.model.media import Moved
from mediaha.model.site import MediaServerSpec, Timings

CALLER = b"""v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=-\r
c=IN IP4 127.0.0.1\r
t=0 0\r
m=audio 4000 RTP/AVP 0\r
"""
CALLEE = CALLER.replace(b"4000", b"5000")


async def main() -> None:
    """Place a call, stop its server, read where it went."""
    async with trio.open_nursery() as nursery:
        alive = {"first": trio.CancelScope(), "second": trio.CancelScope()}
        first = await start_server(nursery, alive["first"], "first", (20000, 20999))
        second = await start_server(nursery, alive["second"], "second", (21000, 21999))
        async with open_pool([first, second], Timings()) as pool:
            offered = await pool.offer("a-call", "caller", None, CALLER, ["first", "second"])
            answered = await pool.answer("a-call", "caller", "callee", CALLEE)
            print(f"{offered.server}: caller sends to {audio(answered.sdp)}, callee to {audio(offered.sdp)}")
            stopped_at = time.monotonic()
            alive[offered.server].cancel()
            moved = await first_move(pool)
            took_ms = (time.monotonic() - stopped_at) * 1e3
            caller, callee = audio(moved.sdp_for_caller), audio(moved.sdp_for_callee)
            print(f"{moved.server}, {took_ms:.0f} ms later: caller sends to {caller}, callee to {callee}")
            for attempt in moved.story:
                print(f"  {attempt.request} to {attempt.server}: {attempt.outcome}")
            await pool.delete("a-call")
        nursery.cancel_scope.cancel()


async def start_server(
    nursery: trio.Nursery, scope: trio.CancelScope, name: str, ports: tuple[int, int]
) -> MediaServerSpec:
    """A media server with a free control port; gives where it is."""
    spec = MediaServerSpec(name, host="localhost", ng=Address("127.0.0.1", 0), ports=ports)
    running: RunningMedia = await nursery.start(serve_within, scope, spec)
    return replace(spec, ng=running.ng)


async def serve_within(
    scope: trio.CancelScope, spec: MediaServerSpec, *, task_status: trio.TaskStatus[object]
) -> None:
    """A media server that can be stopped alone."""
    with scope:
        await serve_media(spec, task_status=task_status)


async def first_move(pool: MediaPool) -> Moved:
    """The next call that is moved. Servers that change, and calls that wait for one, are told here, too."""
    async for notice in pool.notices():
        if isinstance(notice, Moved):
            return notice
    raise AssertionError("the pool was closed")


def audio(sdp: bytes | None) -> str:
    """The port of the audio stream."""
    lines = (sdp or b"").decode().splitlines()
    return next((f"port {line.split()[1]}" for line in lines if line.startswith("m=audio")), "nowhere yet")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    trio.run(main)
