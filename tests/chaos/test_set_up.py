"""New calls while the first media server of the list is of no use: silent, full, or answering nonsense."""

import signal
from contextlib import ExitStack
from statistics import median

from tests.chaos.town import calls_on, open_town
from tests.peers.ng import BlackHole, Grumbler
from tests.peers.sitefile import SiteFile, foreign, ours

SLOWER_MAX = 3
"""A set-up that takes so many times another one is measurably slower, on a machine with other things to do."""


def walk(site, call):
    """The story of a call's first offer: whom the pool asked, and what came of it."""
    (anchored,) = (event for event in site.explain(call.call_id)["events"] if event["what"] == "anchored")
    return [(attempt["server"], attempt["outcome"]) for attempt in anchored["attempts"]]


def took(call):
    """Seconds from INVITE to 200."""
    return call.answered_at - call.invited_at


async def test_a_black_hole_before_a_good_server_costs_later_calls_nothing(tmp_path):
    """Two domains, one of them with the hole before the good server. Calls to both, by turns, take the same time."""
    with BlackHole() as hole:
        lists = {"hole.test": ["hole", "good"], "plain.test": ["good"]}
        file = SiteFile(tmp_path, foreign("hole", hole.address), ours("good"), lists=lists)
        with file.serve() as site:
            site.ready("good")
            targets = file.targets
            async with (
                open_town(site, "hole.test", targets["hole.test"]) as behind,
                open_town(site, "plain.test", targets["plain.test"]) as beside,
            ):
                times = []
                for _ in range(16):
                    (slow,) = await behind.stand(behind.dial())
                    (plain,) = await beside.stand(beside.dial())
                    times.append((took(slow), took(plain)))
                    assert ("good", "answered") in walk(site, slow)
                assert walk(site, slow)[0] == ("good", "answered"), "nobody waits for the hole any more"
                (_, *later) = times
                assert median(slow for slow, _ in later) < SLOWER_MAX * median(plain for _, plain in later), times
                await behind.all_hear()
                await beside.all_hear()
                behind.nothing_lost()
                beside.nothing_lost()
                behind.end()


async def test_the_call_that_comes_just_when_the_first_server_stops_is_taken_by_the_next(town):
    site = town.site
    await town.place_on("first", 1)
    await town.ask(site.signal, "first", signal.SIGSTOP)
    (call,) = await town.place(1)
    assert ("second", "answered") in walk(site, call)
    (later,) = await town.place(1)
    assert walk(site, later)[0] == ("second", "answered"), "by now it is known"
    town.nothing_lost()


async def test_servers_that_answer_errors_are_passed_over_in_their_order(tmp_path):
    replies = {
        "full": b"d6:result5:error12:error-reason30:Parallel session limit reachede",
        "loaded": b"d6:result10:load limit7:message19:Load limit exceedede",
        "broken": b"d6:result5:error12:error-reason14:Internal errore",
        "odd": b"d6:result2:oke",
        "babbling": b"this is not bencode",
    }
    with ExitStack() as stack:
        grumblers = {name: stack.enter_context(Grumbler(reply)) for name, reply in replies.items()}
        listed = [foreign(name, grumbler.address) for name, grumbler in grumblers.items()]
        with SiteFile(tmp_path, *listed, ours("good")).serve() as site:
            site.ready()
            async with open_town(site) as town:
                walks = [walk(site, *await town.place(1)) for _ in range(3)]
                assert all(("good", "answered") in one for one in walks), walks
                # On a busy machine one of them may seem late once, and goes to the end of the order.
                assert [*replies, "good"] in [[server for server, _ in one] for one in walks], walks
                asked = {outcome for one in walks for outcome in one}
                assert ("full", "Parallel session limit reached") in asked
                assert ("broken", "Internal error") in asked
                assert all("offer" in grumbler.asked for grumbler in grumblers.values())
                town.nothing_lost()


async def test_a_full_media_server_leaves_further_calls_to_the_next(tmp_path):
    with SiteFile(tmp_path, ours("small", sessions_max=2), ours("large")).serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place_on("small", 2)
            walks = [walk(site, *await town.place(1)) for _ in range(3)]
            assert all(("large", "answered") in one for one in walks), walks
            assert [("small", "Parallel session limit reached"), ("large", "answered")] in walks, walks
            assert calls_on(site.status())["small"] == 2
            town.nothing_lost()


async def test_a_full_media_server_cannot_take_all_calls_of_a_dead_one(tmp_path):
    """Those that it refuses go on to the one after it."""
    media = [ours("first"), ours("small", sessions_max=2), ours("large")]
    with SiteFile(tmp_path, *media).serve() as site:
        site.ready()
        async with open_town(site) as town:
            await town.place_on("first", 6)
            await town.ask(site.lose, "first")
            await town.all_hear()
            await town.site_until(
                lambda status: sum(calls_on(status).values()) == len(town.calls), "all have a server"
            )
            assert calls_on(site.status()).get("small", 0) <= 2
            town.nothing_lost()
