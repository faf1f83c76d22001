"""A site whose media servers have the kernel forward: what happens to its processes happens beside the calls.

The site is on a host of its own behind a cable, its callers and callees are at the other end.
"""

import os
import signal

import pytest
import trio

from tests.chaos.test_killed import PATIENT, datapaths, followed, re_invites, spare_is_ready
from tests.chaos.town import PATIENCE_S, calls_on, open_town
from tests.peers import netns
from tests.peers.sitefile import SiteFile, ours

pytestmark = [
    pytest.mark.namespace,
    pytest.mark.skipif(netns.missing() is not None, reason=str(netns.missing())),
]
SURELY_HEARD_S = 0.3
"""Fifteen packets of a stream."""
REFUSED = "cannot be had"


@pytest.fixture
async def kernel_town(tmp_path):
    """People at one end of the cable; at the other a site whose two media servers forward in the kernel."""
    with netns.Namespace() as far:
        media = [ours(name, datapath="kernel") for name in ("first", "second")]
        file = SiteFile(tmp_path, *media, host=netns.FAR, target_host=netns.NEAR, timings=PATIENT)
        with file.serve(inside=far.inside_network) as site:
            site.wait_until(lambda status: runs(status) or REFUSED in site.log(), "a media server runs")
            if REFUSED in site.log():
                pytest.skip(site.log())
            async with open_town(site.ready()) as people:
                yield people


def runs(status):
    return any(server["state"] == "usable" for server in status["servers"])


async def the_kernel_forwards(town, name):
    """Wait until all calls go on while this server's process stands still; leaves it so, and gives its pid."""
    pid = (await town.ask(town.site.server, name))["pid"]
    with trio.fail_after(PATIENCE_S):
        while True:
            # Who asks for the status of one that stands still waits for it.
            os.kill(pid, signal.SIGSTOP)
            before = town.heard()
            await trio.sleep(SURELY_HEARD_S)
            if all(now > then + 5 for now, then in zip(town.heard(), before, strict=True)):
                return pid
            os.kill(pid, signal.SIGCONT)
            await trio.sleep(SURELY_HEARD_S)


async def test_calls_stay_when_their_process_hangs_is_killed_upgraded_or_drained_and_move_when_it_is_lost(
    kernel_town,
):
    """When it comes back with the same ports and without a memory, the flows of its former life are still there."""
    town, site = kernel_town, kernel_town.site
    await town.place_on("first", 6)
    await spare_is_ready(town)
    ways = await datapaths(town)
    pid = await the_kernel_forwards(town, "first")
    told, lost = re_invites(town), town.load.arrivals().lost
    os.kill(pid, signal.SIGKILL)
    await followed(town, "first", pid)
    await town.all_hear()
    await spare_is_ready(town)
    done = await town.ask(site.ask, "upgrade")
    assert done.returncode == 0, done.stderr
    await town.all_hear()
    assert (re_invites(town), town.load.arrivals().lost) == (told, lost)
    assert await datapaths(town) == ways

    pid = await the_kernel_forwards(town, "first")
    os.kill(pid, signal.SIGCONT)
    await town.ask(site.lose, "first")
    await town.all_on("second")
    await town.all_hear()
    await followed(town, "first", pid)
    await town.ask(site.ready)
    # Ports of the former calls are not given away yet, so that there is not room for as many.
    await town.place_on("first", 3)
    await town.ask(site.drain, "first")
    before = calls_on(site.status())
    await town.place(2)
    now = calls_on(site.status())
    assert (now["first"], now["second"]) == (before["first"], before["second"] + 2)
    town.nothing_lost()
