"""A site is told to stop while people talk: once politely, once at once, and by a killed NeTS."""

import signal

import pytest
import trio

from tests.chaos.town import open_town
from tests.peers.sipp import Sipp, ack_failure, expect, invite, provisional, request
from tests.peers.site import left_over


async def test_calls_may_go_on_until_the_deadline_and_end_with_bye(file, tmp_path):
    with file.serve("--drain-seconds", "2") as site:
        site.ready()
        async with open_town(site) as town:
            await town.place(4)
            site.process.terminate()
            await town.site_until(lambda status: status["draining"], "it stops")
            await town.ask(_is_turned_away, site, tmp_path)
            await town.all_hear()
            assert not [call.lost for call in town.calls if call.lost], "they may go on"
            await town.until("every call is ended", lambda: all(call.lost for call in town.calls))
            reasons = {call.lost for call in town.calls}
            assert reasons == {'the site ended the call: SIP;cause=503;text="Server is shutting down"'}
            assert await town.ask(site.process.wait, 10) == 0
            assert left_over(tmp_path) == []
            town.nobody_overheard()


def _is_turned_away(site, folder):
    """Who calls now is sent elsewhere, and so is who only asks."""
    retry = "Retry-After: [0-9]+"
    call = [invite(), *provisional(), expect(503, pattern=retry), ack_failure()]
    probe = [request("OPTIONS", to_tag="", uri="sip:[remote_ip]:[remote_port]"), expect(503, pattern=retry)]
    with (
        Sipp(call, folder, "late", remote=site.address) as late,
        Sipp(probe, folder, "probe", remote=site.address) as p,
    ):
        late.wait()
        p.wait()


async def test_a_second_sigterm_stops_at_once_and_leaves_no_process(file, tmp_path):
    with file.serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place(4)
            site.process.terminate()
            await town.site_until(lambda status: status["draining"], "it stops")
            site.process.terminate()
            assert await town.ask(site.process.wait, 15) == 0
            assert left_over(tmp_path) == []


async def test_a_second_sigterm_while_a_hung_media_server_is_ended_leaves_no_process(file, tmp_path):
    with file.serve() as site:
        site.ready()
        for name in site.names():
            site.signal(name, signal.SIGSTOP)
        site.process.terminate()
        with trio.fail_after(60):
            while "stopping: no new calls" not in site.log():  # noqa: ASYNC110 - it happens in a process
                await trio.sleep(0.05)
            while site.process.poll() is None:
                site.process.terminate()
                await trio.sleep(0.3)
        assert left_over(tmp_path) == []


async def test_the_media_servers_of_a_killed_site_end_with_it(file, tmp_path):
    with file.serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place(2)
            site.process.kill()
            await town.until("no process is left", lambda: left_over(tmp_path) == [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_site_without_calls_stops_at_once(file, number):
    with file.serve() as site:
        site.ready()
        site.process.send_signal(number)
        with trio.fail_after(15):
            assert await trio.to_thread.run_sync(site.process.wait) == 0
