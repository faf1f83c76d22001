"""A trunk that asks who we are: every request of ours is answered with credentials, and its CSeq is the next one."""

from __future__ import annotations

import os

import pytest
import trio

from mediaha.model.site import Domain
from mediaha.model.trunk import Credentials, TrunkState
from mediaha.sip.auth.digest import HashedSecret
from mediaha.sip.auth.nonces import Nonces
from mediaha.sip.auth.server import Known, Realm, Unknown
from mediaha.sip.transaction.events import Incoming
from tests.nets.phone import phone_sdp
from tests.nets.test_trunks import Site
from tests.nets.world import open_world, until

REALM = "carrier.test"
SECRET = HashedSecret.of("nets", REALM, "sesame")


class Doorman:
    """Stands before a phone and asks each request but CANCEL for credentials; an ACK must show its INVITE's."""

    def __init__(self, phone, *, forgetful=False, secret=SECRET):
        self.let_in = []
        self.asked = []
        self.acks = []
        self.refused = []
        self._phone, self._heard = phone, phone._heard
        self._forgetful, self._secret = forgetful, secret
        self._realm = Realm(REALM, Nonces(os.urandom(32)))
        phone._heard = self.heard

    def heard(self, event):
        if not isinstance(event, Incoming):
            if type(event).__name__ == "Acknowledged":
                self.acks.append(event.request.headers.get("Authorization"))
            self._heard(event)
            return
        request = event.request
        verdict = self._realm.judge(request, {"nets": self._secret}.get, trio.current_time())
        if isinstance(verdict, Known):
            self.let_in.append((request.method, request.cseq.number))
            if self._forgetful:
                self._realm = Realm(REALM, Nonces(os.urandom(32)))
            self._heard(event)
        elif isinstance(verdict, Unknown):
            self.asked.append((request.method, request.cseq.number))
            refusal = request.response(verdict.status, to_tag="door", headers=verdict.headers)
            self._phone.endpoint.respond(event.transaction, refusal)
        else:
            self.refused.append(request.method)
            self._phone.endpoint.respond(event.transaction, request.response(403, to_tag="door"))


def site_of(world, tmp_path, **options):
    """Routes by a trunk with an account; the secret is in a file."""
    (tmp_path / "secret").write_text("sesame\r\nand a note\n")
    credentials = options.pop("credentials", Credentials("nets", secret_file=tmp_path / "secret"))
    site = Site(world, credentials=credentials, check_s=options.pop("check_s", 1000), **options)
    world.route(site)
    return site


async def test_a_call_is_set_up_changed_and_ended_with_credentials(tmp_path):
    async with open_world() as world:
        door = Doorman(world.callee)
        site_of(world, tmp_path)
        await until(lambda: ("OPTIONS", 2) in door.let_in)
        mine, theirs = await world.connect()
        assert (await mine.ask("INVITE", phone_sdp(4000, "sendonly", 2))).status == 200
        assert (await mine.ask("INFO")).status == 200
        mine.bye()
        await theirs.over.wait()
        await world.empties()
        asked_before_calls = [method for method, _ in door.asked]
        assert asked_before_calls == ["OPTIONS"], "one question is enough: later requests show credentials at once"
        methods = [method for method, _ in door.let_in]
        assert methods == ["OPTIONS", "INVITE", "INVITE", "INFO", "BYE"]
        assert len(door.acks) == 2
        assert all(door.acks)


async def test_a_carrier_that_takes_each_nonce_once_is_answered_each_time(tmp_path):
    async with open_world() as world:
        door = Doorman(world.callee, forgetful=True)
        site_of(world, tmp_path, check_s=0)
        mine, theirs = await world.connect()
        assert (await mine.ask("INVITE", phone_sdp(4000, "sendonly", 2))).status == 200
        mine.bye()
        await theirs.over.wait()
        await world.empties()
        assert door.asked == [("INVITE", 1), ("INVITE", 3), ("BYE", 5)]
        assert door.let_in == [("INVITE", 2), ("INVITE", 4), ("BYE", 6)], "each is the next of its dialog"
        told = world.nets.explain(mine.invite.call_id)
        assert [event["method"] for event in told["events"] if event["what"] == "challenged"] == [
            "INVITE",
            "INVITE",
            "BYE",
        ]


async def test_media_that_moves_is_told_to_a_carrier_that_asks(tmp_path):
    async with open_world() as world:
        Doorman(world.callee, forgetful=True)
        site_of(world, tmp_path, check_s=0)
        mine, theirs = await world.connect()
        before = theirs.port
        world.pool.crash("a")
        with trio.fail_after(10):
            await theirs.until_port(lambda port: port != before)
        mine.bye()
        await theirs.over.wait()
        await world.empties()


@pytest.mark.parametrize("why", ["wrong secret", "no secret", "another realm"])
async def test_a_question_that_cannot_be_answered_is_a_403_for_the_caller(tmp_path, why):
    async with open_world() as world:
        door = Doorman(world.callee)
        wrong = HashedSecret.of("nets", REALM, "something else")
        credentials = {
            "wrong secret": Credentials("nets", REALM, md5=wrong.md5),
            "no secret": Credentials("nets", secret_file=tmp_path / "there-is-no-such-file"),
            "another realm": Credentials("nets", "other.test", md5=SECRET.md5),
        }[why]
        site_of(world, tmp_path, credentials=credentials, check_s=0)
        mine = world.caller.call(world.nets.address)
        await mine.refused.wait()
        assert mine.final.status == 403
        assert not door.let_in
        assert len(door.asked) == 1
        assert len(door.refused) == (1 if why == "wrong secret" else 0), "it is not tried again and again"


async def test_a_hash_is_as_good_as_the_secret(tmp_path):
    async with open_world() as world:
        door = Doorman(world.callee)
        site = site_of(world, tmp_path, credentials=Credentials("nets", REALM, sha256=SECRET.sha256), check_s=0.2)
        await until(lambda: len(door.let_in) >= 2)
        assert site.states()[0] is TrunkState.UP


async def test_a_carrier_that_called_us_is_answered_too_when_it_asks_who_hangs_up(tmp_path):
    async with open_world() as world:
        door = Doorman(world.callee)
        site = site_of(world, tmp_path, check_s=0)
        site.domain = lambda name: Domain(name, ("a", "b"), (world.second.endpoint.address,))
        mine = world.callee.call(world.nets.address)
        theirs = await world.second.rings.receive()
        await mine.answered.wait()
        await theirs.acked.wait()
        before = mine.port
        world.pool.crash("a")
        with trio.fail_after(10):
            await mine.until_port(lambda port: port != before)
        theirs.bye()
        await mine.over.wait()
        await world.empties()
        assert [method for method, _ in door.asked] == ["INVITE"], "the moved media; the BYE shows who we are at once"
        assert [method for method, _ in door.let_in] == ["INVITE", "BYE"]
