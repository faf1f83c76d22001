"""A media server as a trio task: it starts, relays, and gives everything back."""

import socket

import pytest
import trio

from mediaha.load import Load
from mediaha.media import serve_media
from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.model.site import MediaServerSpec
from tests.failover.world import Phone, spec, until


async def test_it_answers_ng_as_long_as_the_task_runs():
    async with trio.open_nursery() as nursery:
        running = await nursery.start(serve_media, spec("a"))
        assert running.statistics()["sessions"] == 0
        with trio.fail_after(5):
            assert await ask(running.ng, b"1_1 d7:command4:pinge") == b"1_1 d"
        nursery.cancel_scope.cancel()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free_again:
        free_again.bind(running.ng)


async def ask(ng, datagram):
    """The first bytes of the answer."""
    client = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    with client:
        await client.connect(ng)
        await client.send(datagram)
        return (await client.recv(2000))[:5]


async def test_a_port_in_use_is_said_plainly():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        ng = Address(*taken.getsockname())
        with pytest.raises(MediahaError, match=f"{ng}.* in use"):
            await serve_media(MediaServerSpec("a", "here", ng))


async def test_audio_goes_through_it_in_both_directions(pool_with):
    load = Load()
    async with pool_with("a") as world:
        phone = Phone(load)
        await phone.call(world.pool, "call-1", ["a"])
        phone.talk()
        await until("both hear each other", lambda: phone.heard() > 20)
        assert world.running["a"].statistics()["sessions"] == 1
        phone.hang_up()
        await world.pool.delete("call-1")
        assert world.running["a"].statistics()["sessions"] == 0
    totals = load.arrivals()
    load.close()
    assert (totals.lost, totals.corrupt, totals.misdirected) == (0, 0, 0)
