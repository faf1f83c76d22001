"""The cable to a media server's host is pulled out: nothing arrives there, nothing comes back, and nobody says so."""

import pytest

from tests.chaos.town import open_town, sessions_on
from tests.peers import netns
from tests.peers.installed import unless
from tests.peers.mediaserver import MediaServer
from tests.peers.sitefile import SiteFile, foreign, ours

pytestmark = [
    pytest.mark.namespace,
    unless(netns.missing()),
]


@pytest.fixture
def far():
    with netns.Namespace() as host:
        yield host


async def test_calls_move_when_the_cable_is_cut_and_the_other_end_forgets_them_when_it_is_mended(tmp_path, far):
    with (
        MediaServer(tmp_path, "far", host=netns.FAR, inside=far.inside) as server,
        SiteFile(tmp_path, foreign("far", server.ng), ours("near"), host=netns.NEAR).serve() as site,
    ):
        site.ready()
        async with open_town(site) as town:
            await town.place_on("far", 8)
            far.cut()
            await town.all_on("near")
            await town.all_hear()
            town.nothing_lost()
            far.mend()
            await town.site_until(lambda status: sessions_on(status)["far"] == 0, "no call is on two servers")
            await town.ask(site.ready)
            await town.all_on("near")
            await town.all_hear()
            town.nothing_lost()
            await town.place_on("far", 1)
            town.nothing_lost()
