"""A media server stands still, its ports bound and its host alive; later it goes on as if nothing had been."""

import signal

from tests.chaos.town import open_town, sessions_on
from tests.peers.mediaserver import MediaServer
from tests.peers.sitefile import SiteFile, foreign


async def test_a_media_server_that_comes_back_drops_what_was_moved_away(town):
    site = town.site
    await town.place_on("first", 10)
    await town.ask(site.signal, "first", signal.SIGSTOP)
    await town.all_on("second")
    await town.all_hear()
    town.nothing_lost()
    await town.ask(site.signal, "first", signal.SIGCONT)
    only_second = {"first": 0, "second": len(town.calls)}
    await town.site_until(lambda status: sessions_on(status) == only_second, "no call is on two servers")
    await town.ask(site.ready)
    await town.all_on("second")
    await town.all_hear()
    town.nothing_lost()
    await town.place_on("first", 1)


async def test_a_call_that_ends_while_its_first_server_hangs_is_dropped_there_too(town):
    site = town.site
    await town.place_on("first", 3)
    await town.ask(site.signal, "first", signal.SIGSTOP)
    await town.all_on("second")
    await town.all_hear()
    town.end()
    await town.ask(site.signal, "first", signal.SIGCONT)
    await town.site_until(lambda status: sessions_on(status) == {"first": 0, "second": 0}, "no call is left")


async def test_both_media_servers_hang_and_come_back(tmp_path):
    """Nobody takes calls meanwhile, and says so; the calls that were there are not lost."""
    with (
        MediaServer(tmp_path, "first") as first,
        MediaServer(tmp_path, "second") as second,
        SiteFile(tmp_path, foreign("first", first.ng), foreign("second", second.ng)).serve() as site,
    ):
        site.ready()
        async with open_town(site) as town:
            await town.place(6)
            first.hang()
            second.hang()
            await town.site_until(lambda status: not status["nets"][0]["taking_calls"], "no media server is alive")
            (refused,) = town.dial()
            await town.settle([refused])
            assert refused.lost is not None
            assert refused.lost.startswith("the INVITE was answered 503")
            assert site.status()["nets"][0]["calls"] == 6, "the others wait"
            first.resume()
            second.resume()
            await town.all_hear()
            await town.site_until(
                lambda status: sum(count or 0 for count in sessions_on(status).values()) == 6,
                "each call on one server",
            )
            assert [call.lost for call in town.calls if call.lost] == [refused.lost]
