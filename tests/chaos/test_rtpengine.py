"""A real rtpengine stands in the lists of a site, before a media server of ours and after it."""

import pytest

from tests.chaos.town import open_town, sessions_on
from tests.peers import rtpengine
from tests.peers.installed import unless
from tests.peers.sitefile import SiteFile, foreign, ours

pytestmark = [
    pytest.mark.interop,
    unless(rtpengine.missing()),
]


@pytest.fixture
def other(tmp_path):
    with rtpengine.Rtpengine("rtpengine", tmp_path) as running:
        yield running


async def test_calls_of_a_killed_rtpengine_go_on_through_ours(tmp_path, other):
    with SiteFile(tmp_path, foreign("rtpengine", str(other.spec.ng)), ours("ours")).serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place_on("rtpengine", 8)
            other.crash()
            await town.all_on("ours")
            await town.all_hear()
            town.nothing_lost()


async def test_an_rtpengine_that_hung_drops_what_was_moved_away(tmp_path, other):
    with SiteFile(tmp_path, foreign("rtpengine", str(other.spec.ng)), ours("ours")).serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place_on("rtpengine", 4)
            other.hang()
            await town.all_on("ours")
            await town.all_hear()
            other.resume()
            await town.site_until(lambda status: sessions_on(status)["rtpengine"] == 0, "no call is on two servers")
            await town.all_hear()
            town.nothing_lost()


async def test_calls_of_ours_go_on_through_an_rtpengine(tmp_path, other):
    with SiteFile(tmp_path, ours("ours"), foreign("rtpengine", str(other.spec.ng))).serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place_on("ours", 8)
            await town.ask(site.lose, "ours")
            await town.all_on("rtpengine")
            await town.all_hear()
            town.nothing_lost()
            await town.ask(site.ready)
            await town.place_on("ours", 1)
