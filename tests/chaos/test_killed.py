"""A media-server process is killed, and a spare goes on with its calls: nobody is told anything."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.chaos.town import calls_on, open_town, sessions_on
from tests.peers.ng import ask_ng
from tests.peers.sitefile import QUICK, SiteFile, ours

PATIENT = {**QUICK, "silence_ms_max": 20000, "takeover_ms_max": 20000}
"""However busy the machine is, nobody is thought dead."""
FIRST_BLOCK = BLOCK = 512
"""Where the records of a table of calls begin, and how long each of their blocks is, in bytes."""


@pytest.fixture(params=["auto", "sockets"])
async def patient(tmp_path, request):
    """People who talk through a site that waits for the next process as long as that takes.

    Its ports are steered where that is allowed, as in all these stories; the two are told of sockets as well.
    """
    media = [ours(name, datapath=request.param) for name in ("first", "second")]
    with SiteFile(tmp_path, *media, timings=PATIENT).serve() as site:
        async with open_town(site.ready()) as people:
            yield people


def re_invites(town):
    return sum(leg.re_invites for call in town.calls for leg in call.legs())


async def datapaths(town):
    """What forwards for each media server, and why: by their own word, so that they must be able to say it."""
    status = await town.site_until(lambda status: all(server["datapath"] for server in status["servers"]), "why")
    return {server["name"]: (server["datapath"], server["datapath_reason"]) for server in status["servers"]}


def process_of(site, name):
    return site.server(name)["pid"]


def damage(pid):
    """Change some bytes of a media server's table of calls, under it."""
    table = next(fd for fd in Path(f"/proc/{pid}/fd").iterdir() if "memfd:mediaha-estate" in str(fd.readlink()))
    with table.open("r+b") as memory:
        # Every other block may be free, and what is in it of no account.
        for block in range(8):
            memory.seek(FIRST_BLOCK + block * BLOCK + 40)
            memory.write(b"damage")


async def followed(town, name, pid):
    """Wait until another process is this server; gives its pid."""
    status = await town.site_until(
        lambda status: any(
            server["name"] == name and server["process"] == "running" and server["pid"] != pid
            for server in status["servers"]
        ),
        "another process",
    )
    return next(server["pid"] for server in status["servers"] if server["name"] == name)


async def spare_is_ready(town):
    await town.site_until(lambda status: status["spare"], "a spare is ready")


def packets_of(ng, call_id):
    return ask_ng(ng, command="query", call_id=call_id)["totals"]["RTP"]["packets"]


async def test_calls_stay_where_they_are_when_their_process_is_killed_and_nobody_is_told(patient):
    town, site = patient, patient.site
    await town.place_on("first", 12)
    await spare_is_ready(town)
    before, calls, ways = re_invites(town), calls_on(site.status()), await datapaths(town)
    ng = site.server("first")["ng"]
    call_id, *_ = ask_ng(ng, command="list")["calls"]
    carried = packets_of(ng, call_id)
    pid = await town.ask(site.signal, "first", signal.SIGKILL)
    pid = await followed(town, "first", pid)
    await town.all_hear()
    lost = town.load.arrivals().lost
    print(f"lost packets of {2 * len(town.standing())} streams together: {lost}")
    assert re_invites(town) == before
    assert (calls_on(site.status()), await datapaths(town)) == (calls, ways)
    assert packets_of(ng, call_id) > carried, "counters go on"
    # And once more: what was adopted can be adopted.
    await spare_is_ready(town)
    await town.ask(site.signal, "first", signal.SIGKILL)
    await followed(town, "first", pid)
    await town.all_hear()
    assert (re_invites(town), calls_on(site.status())) == (before, calls)
    await town.hang_up()
    assert set(sessions_on(site.status()).values()) == {0}, "what was deleted afterwards is gone"
    town.nothing_lost()


async def test_killed_again_before_another_spare_is_ready(town):
    """Whether a process is there in time or the calls move meanwhile depends on the machine; no call may be lost."""
    site = town.site
    await town.place_on("first", 8)
    await spare_is_ready(town)
    pid = await town.ask(site.signal, "first", signal.SIGKILL)
    await followed(town, "first", pid)
    await town.ask(site.signal, "first", signal.SIGKILL)
    await town.all_hear()
    await town.ask(site.ready)
    town.nothing_lost()


async def test_both_media_servers_are_killed_at_the_same_moment(town):
    """There is one spare; whoever gets it, the calls of the other one are not lost either."""
    site = town.site
    await town.place(8)
    for name in ("first", "second"):
        await town.ask(site.signal, name, signal.SIGKILL)
    await town.all_hear()
    await town.ask(site.ready)
    await town.site_until(lambda status: sum(calls_on(status).values()) == 8, "every call has one server")
    town.nothing_lost()


async def test_calls_that_are_being_set_up_meanwhile_come_to_stand(town):
    site = town.site
    placed = []
    for number in range(40):
        placed += town.dial()
        if number == 20:
            await town.ask(site.signal, "first", signal.SIGKILL)
        await trio.sleep(0.005)
    await town.settle(placed)
    await town.all_hear()
    assert len(town.standing()) == 40
    town.nothing_lost()


async def test_an_upgrade_under_calls_loses_no_packet(patient):
    town, site = patient, patient.site
    await town.place_on("first", 10)
    told, lost, ways = re_invites(town), town.load.arrivals().lost, await datapaths(town)
    pids = [server["pid"] for server in site.status()["servers"]]
    done = await town.ask(
        lambda: subprocess.run(
            [sys.executable, "-m", "mediaha", "upgrade", "--control", str(site.control)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    assert done.returncode == 0, done.stderr
    assert "first: a new process" in done.stdout
    assert {server["pid"] for server in site.status()["servers"]}.isdisjoint(pids)
    assert await datapaths(town) == ways
    await town.all_hear()
    assert town.load.arrivals().lost == lost
    assert re_invites(town) == told
    town.nothing_lost()


async def test_a_damaged_table_is_refused_and_the_calls_are_made_anew(town):
    """Nothing is forwarded from it: the pool sees that the memory of the server is gone, and tells both parties."""
    site = town.site
    await town.place_on("first", 6)
    await spare_is_ready(town)
    pid = process_of(site, "first")
    await town.ask(damage, pid)
    await town.ask(site.signal, "first", signal.SIGKILL)
    await town.until("both parties of each call are told", lambda: re_invites(town) >= 12)
    await town.all_hear()
    assert '"event":"estate_refused"' in site.log()
    town.nothing_lost()


async def test_who_asks_to_upgrade_what_does_not_run_is_told(town):
    done = await town.ask(
        lambda: subprocess.run(
            [sys.executable, "-m", "mediaha", "upgrade", "third", "--control", str(town.site.control)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    assert done.returncode == 1
    assert "no media server 'third' runs on this host" in done.stderr
