"""SIGHUP while calls come and talk: the new lists are for new calls, a file with a mistake changes nothing."""

import signal

import trio

from tests.chaos.town import calls_on


async def test_a_reversed_list_is_for_new_calls_and_old_ones_stay(town, file):
    site = town.site
    old = await town.place_on("first", 5)
    before = calls_on(site.status())
    file.write({"*": ["second", "first"]})
    site.process.send_signal(signal.SIGHUP)
    # Calls come all the time: whichever list one of them meets, it is taken.
    during = []
    for _ in range(20):
        during += town.dial()
        await trio.sleep(0.01)
    await town.site_until(lambda status: status["domains"] == {"*": ["second", "first"]}, "the new list is used")
    await town.stand(during)
    after = calls_on(site.status())
    await town.place_on("second", after.get("second", 0) + 3)
    await town.all_hear()
    assert calls_on(site.status())["first"] >= before["first"], "old calls stay where they are"
    assert not any(leg.re_invites for call in old for leg in call.legs()), "nobody was bothered"
    await town.ask(site.lose, "second")
    await town.all_on("first")
    await town.all_hear()
    town.nothing_lost()


async def test_a_file_with_a_mistake_changes_nothing(town, file):
    site = town.site
    await town.place_on("first", 3)
    good = file.path.read_text()
    for mistake in (good.replace('"first", "second"', '"frist"'), "this is not TOML", ""):
        said = site.log().count("cannot be used")
        file.path.write_text(mistake)
        site.process.send_signal(signal.SIGHUP)
        await town.until("the mistake is logged", lambda: site.log().count("cannot be used") > said)  # noqa: B023
    assert "did you mean 'first'?" in site.log()
    assert site.status()["domains"] == {"*": ["first", "second"]}
    await town.all_hear()
    await town.place(2)
    town.nothing_lost()
