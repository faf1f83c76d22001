"""A media server is lost with all it has: under calls that talk, that are being set up, that are just being moved."""

import trio

from tests.chaos.town import calls_on, open_town
from tests.peers.mediaserver import MediaServer
from tests.peers.ports import rtp_ports
from tests.peers.sitefile import SiteFile, foreign, ours

SPARE_FILES = 4
"""Descriptors that may have come for other reasons than calls, such as a question on the control socket."""


async def test_the_calls_of_a_lost_media_server_go_on_through_the_next(town):
    site = town.site
    open_files = site.open_files()
    moved = await town.place_on("first", 12)
    pid = await town.ask(site.lose, "first")
    await town.all_on("second")
    await town.all_hear()
    town.nothing_lost()
    told = [call for call in moved if all(leg.re_invites for leg in call.legs())]
    assert len(told) >= 12, "both parties of every call that was moved were told"
    await town.ask(site.ready)
    assert site.server("first")["pid"] not in (pid, None), "it was started again"
    await town.all_on("second")
    await town.place_on("first", 1)
    assert calls_on(site.status())["second"] >= len(moved), "calls that were moved stay where they are"
    await town.hang_up()
    after = site.open_files()
    grown = {name: after[name] - open_files[name] for name in after}
    assert all(more <= SPARE_FILES for more in grown.values()), grown
    town.nothing_lost()


async def test_calls_that_are_being_set_up_find_their_way(town):
    """One call every 5 ms, and half-way the first server dies: each of them stands in the end."""
    site = town.site
    pid = site.server("first")["pid"]
    placed = []
    for number in range(40):
        placed += town.dial()
        if number == 20:
            await town.ask(site.lose, "first")
        await trio.sleep(0.005)
    await town.settle(placed)
    town.nothing_lost()
    await town.all_hear()
    assert len(town.standing()) == 40
    status = await town.site_until(lambda status: sum(calls_on(status).values()) == 40, "every call has one server")
    assert status["servers"][0]["pid"] != pid
    town.nothing_lost()


async def test_both_media_servers_are_lost_at_the_same_moment(town):
    """The calls have no server until one was started again; then they have, and talk."""
    site = town.site
    await town.place(8)
    pids = {server["pid"] for server in site.status()["servers"]}
    for name in ("first", "second"):
        await town.ask(site.lose, name)
    await town.all_hear()
    town.nothing_lost()
    status = await town.site_until(lambda status: sum(calls_on(status).values()) == 8, "every call has one server")
    assert not {server["pid"] for server in status["servers"]} & pids


async def test_the_next_media_server_dies_while_it_takes_the_calls_over(tmp_path):
    with SiteFile(tmp_path, ours("first"), ours("second"), ours("third")).serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place_on("first", 20)
            await town.ask(site.lose, "first")
            # The first call that is told of the second server: the others are still on their way.
            await town.until("a call moves", lambda: any(leg.re_invites for call in town.calls for leg in call.legs()))
            await town.ask(site.lose, "second")
            await town.all_on("third")
            await town.all_hear()
            town.nothing_lost()


async def test_the_only_media_server_comes_back_and_has_forgotten_its_calls(tmp_path):
    """They have nowhere else to go: they are made anew on the same server, and both parties are told.

    There are hardly more ports than the calls need, so that most of them get ports that another one had before; its
    parties still send there for a moment, and nobody may hear them.
    """
    with (
        MediaServer(tmp_path, "only", ports=rtp_ports(60)) as server,
        SiteFile(tmp_path, foreign("only", server.ng)).serve() as site,
    ):
        site.ready()
        async with open_town(site) as town:
            await town.place(12)
            server.crash()
            await town.site_until(lambda status: status["servers"][0]["state"] == "dead", "it is dead")
            assert site.status()["nets"][0]["calls"] == 12, "they wait"
            server.start()
            await town.all_hear()
            await town.all_on("only")
            town.nothing_lost()
