"""A target sends a call on (3xx): it goes to the caller, or is followed where the site file says so."""

from __future__ import annotations

import trio
from msgspec.structs import replace

from mediaha.model.site import Domain
from mediaha.model.trunk import Redirects, Trunk
from mediaha.nets import Limits
from tests.nets.story import TARGETS, Reply, Story
from tests.nets.world import open_world


class Site:
    """Bob's trunk sends calls on; Sue's is another one."""

    def __init__(self, world, redirects=Redirects.FOLLOW):
        self.trunks = tuple(
            Trunk(phone.name, (f"sip:{phone.endpoint.address}",), check_s=0, redirects=redirects)
            for phone in (world.callee, world.second)
        )
        self.domains = tuple(Domain(f"{trunk.name}.test", ("a", "b"), trunks=(trunk.name,)) for trunk in self.trunks)

    def domain(self, name):
        return next((domain for domain in self.domains if domain.name == name), None)


def sends_on(phone, *contacts, status=302):
    """The phone's next call is answered with these Contacts."""

    async def answer():
        call = await phone.rings.receive()
        headers = [("Contact", contact) for contact in contacts]
        phone.endpoint.respond(call.key, call.invite.response(status, to_tag=call.dialog.local_tag, headers=headers))
        return call

    phone.script = [None]
    return answer


async def test_by_default_the_caller_gets_it_and_decides():
    async with open_world() as world:
        answer = sends_on(world.callee, "<sip:elsewhere@192.0.2.9>", status=301)
        mine = world.caller.call(world.nets.address)
        await answer()
        await mine.refused.wait()
        assert mine.final.status == 301
        assert mine.final.headers.get("Contact") == "<sip:elsewhere@192.0.2.9>"
        await world.empties()


async def test_it_is_followed_to_another_domain_of_the_site():
    async with open_world() as world:
        world.route(Site(world))
        answer = sends_on(world.callee, "<sip:x@nowhere.test>;q=1.0", "<sip:sue@sue.test>;q=0.5")
        mine = world.caller.call(world.nets.address, host="bob.test")
        await answer()
        theirs = await world.second.rings.receive()
        assert theirs.invite.request_uri.user == "sue"
        await mine.answered.wait()
        await theirs.acked.wait()
        told = [event["what"] for event in world.nets.explain(mine.invite.call_id)["events"]]
        assert "sent on" in told
        mine.bye()
        await world.empties()


async def test_it_is_followed_to_another_number_at_the_same_target():
    async with open_world() as world:
        world.route(Site(world))
        answer = sends_on(world.callee, f"<sip:200@{world.callee.endpoint.address.host}>")
        mine = world.caller.call(world.nets.address, host="bob.test")
        await answer()
        second = await world.callee.rings.receive()
        assert second.invite.request_uri.user == "200"
        world.callee.respond(second, 486)
        await mine.refused.wait()
        assert mine.final.status == 486
        await world.empties()


async def test_no_place_of_ours_is_left_to_the_caller():
    async with open_world() as world:
        world.route(Site(world))
        answer = sends_on(world.callee, "<sip:x@nowhere.test>", "<tel:+441234>", "nonsense")
        mine = world.caller.call(world.nets.address, host="bob.test")
        await answer()
        await mine.refused.wait()
        assert mine.final.status == 302
        await world.empties()


async def test_those_who_send_a_call_to_and_fro_come_to_an_end():
    """Each time to another number, so that nobody can tell; five times are enough."""
    async with open_world(limits=Limits(redirects_max=5)) as world:
        world.route(Site(world))
        mine = world.caller.call(world.nets.address, host="bob.test")
        world.callee.script = world.second.script = [None]
        phones, asked = [world.callee, world.second], 0
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:

                async def send_on(phone, other):
                    nonlocal asked
                    async for call in phone.rings:
                        asked += 1
                        contact = ("Contact", f"<sip:{asked}@{other.name}.test>")
                        response = call.invite.response(302, to_tag=call.dialog.local_tag, headers=[contact])
                        phone.endpoint.respond(call.key, response)

                nursery.start_soon(send_on, *phones)
                nursery.start_soon(send_on, *reversed(phones))
                await mine.refused.wait()
                nursery.cancel_scope.cancel()
        assert mine.final.status == 302
        assert asked == 6
        await world.empties()


async def test_whoever_has_had_the_call_does_not_get_it_again():
    async with open_world() as world:
        world.route(Site(world))
        answer = sends_on(world.callee, "<sip:desk@bob.test>")
        mine = world.caller.call(world.nets.address, host="bob.test")
        await answer()
        await mine.refused.wait()
        assert mine.final.status == 302
        await world.empties()


def test_a_caller_who_gives_up_meanwhile():
    story = Story(targets=(replace(TARGETS[0], follows=True),))
    story.anchored()
    story.responds(story.sent("INVITE"), 302, contact="<sip:x@desk.test>")
    story.cancels()
    assert story.the(Reply).status == 487
