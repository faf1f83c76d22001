"""Who may ask for a call: known places, users who prove it, and nobody else; and calls to users go to their phones."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from mediaha.model.address import Address
from mediaha.model.listener import TCP, TLS, Listener, Tls
from mediaha.model.site import Domain, NetsSpec
from mediaha.model.trunk import Trunk
from mediaha.model.user import User
from mediaha.nets.gate import Gate, networks_of
from mediaha.registrar import Phones
from mediaha.sip.auth.client import Account, Answerer
from mediaha.sip.auth.digest import HashedSecret, challenge_untrusted
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.target import Target
from tests.nets.phone import Phone
from tests.nets.world import open_world
from tests.sip.certificates import Authority, needs_openssl

AWAY = "127.0.0.2"
"""Another machine, as far as NeTS can tell."""
NAT = "<sip:anna@10.9.9.9:5060>"
SECRETS = {"anna": "sesame", "bo": "other"}
USERS = [
    User(name, "desk.test", "desk.test", hashed.md5, hashed.sha256)
    for name, secret in SECRETS.items()
    for hashed in [HashedSecret.of(name, "desk.test", secret)]
]


class UserPhone(Phone):
    """A phone at another machine, whose Contact says what a NAT hides."""

    def __init__(self, endpoint, front, name="anna", secret=None):
        super().__init__(endpoint, name, 8000)
        self.front = front
        self.contact = NAT.replace("anna", name)
        self.answerer = Answerer(
            Account(name, "desk.test", HashedSecret.of(name, "desk.test", secret or SECRETS[name]))
        )

    def request(self, method, uri="sip:desk.test", body=b"", more=(), user=None):
        address = f"<sip:{user or self.name}@desk.test>"
        fields = [
            ("Max-Forwards", "70"),
            ("From", f"{address};tag={secrets.token_hex(4)}"),
            ("To", address if method == "REGISTER" else f"<{uri}>"),
            ("Call-ID", secrets.token_hex(8)),
            ("CSeq", f"1 {method}"),
            ("Contact", self.contact),
            *more,
        ]
        if body:
            fields.append(("Content-Type", "application/sdp"))
        return Request(method, uri, Headers(fields), body)

    async def send(self, request):
        """The final response."""
        answers, outcomes = trio.open_memory_channel(100)
        self.endpoint.send(request, self.front, answers.send_nowait)
        outcome = await outcomes.receive()
        while isinstance(outcome, Response) and outcome.status < 200:
            outcome = await outcomes.receive()
        assert isinstance(outcome, Response), outcome
        return outcome

    async def prove(self, request):
        """The final response once the challenge is answered, and the request that got it."""
        asked = await self.send(request)
        assert asked.status == 401
        proved = self.answerer.answer(request, asked, secrets.token_hex(8))
        return await self.send(proved), proved


@asynccontextmanager
async def open_town(**options):
    """A site whose targets are on this machine, users, and a phone elsewhere."""
    async with (
        open_world(callers=("127.0.0.1",), phones=Phones(USERS), **options) as world,
        open_endpoint(Address(AWAY, 0)) as endpoint,
        trio.open_nursery() as nursery,
    ):
        phone = UserPhone(endpoint, world.front)
        nursery.start_soon(phone.run)
        yield world, phone
        nursery.cancel_scope.cancel()


def said(response):
    """Everything in a response that is not of the request."""
    own = {"via", "from", "to", "call-id", "cseq"}
    return response.status, [(name, value) for name, value in response.headers if name.lower() not in own]


async def test_a_stranger_gets_the_same_bare_refusal_whatever_is_asked():
    async with open_world(callers=("127.0.0.1",)) as world, open_endpoint(Address(AWAY, 0)) as endpoint:
        stranger = UserPhone(endpoint, world.front)
        for method in ("INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "NONSENSE"):
            assert said(await stranger.send(stranger.request(method))) == (403, []), method
        assert not world.pool.asked


async def test_where_there_are_users_a_stranger_is_asked_who_it_is_and_learns_no_more():
    async with open_town() as (world, phone):
        phone.answerer = UserPhone(phone.endpoint, world.front, secret="wrong").answerer
        wrong, _ = await phone.prove(phone.request("INVITE"))
        assert said(wrong) == (403, [])
        for method in ("OPTIONS", "MESSAGE", "NONSENSE"):
            assert said(await phone.send(phone.request(method))) == (403, [])
        elsewhere = phone.request("INVITE").with_headers(
            phone.request("INVITE").headers.with_replaced("From", "<sip:anna@elsewhere.test>;tag=x")
        )
        assert said(await phone.send(elsewhere)) == (403, [])
        assert not world.pool.asked


async def test_a_network_that_may_call_does_so_without_being_asked():
    async with open_world(callers=("127.0.0.0/30",)) as world, open_endpoint(Address(AWAY, 0)) as endpoint:
        caller = Phone(endpoint, "ann", 8000)
        caller.call(world.front)
        await world.callee.rings.receive()


async def test_whom_nets_calls_may_call_nets():
    async with open_world(callers=()) as world:
        await world.connect()


@needs_openssl
async def test_a_trunk_is_known_by_its_certificate_wherever_it_comes_from(tmp_path):
    authority = Authority(tmp_path)

    def files(*names):
        issued = authority.issue(*names)
        return Tls(issued.certificate, issued.key, authorities=authority.certificate)

    mutual = replace(files("IP:127.0.0.1"), client_authorities=authority.certificate)
    listeners = [Listener(Address("127.0.0.1", 0)), Listener(Address("127.0.0.1", 0), TLS, tls=mutual)]

    class Routes:
        trunks = (Trunk("pbx", ("sip:PBX.test;transport=tls",), check_s=0),)
        domains = ()

        def domain(self, name):
            return Domain("desk.test", ("a",), trunks=("pbx",))

    async with open_world(listeners=listeners, callers=()) as world:
        world.route(Routes())
        front = Target(TLS, world.nets._endpoint.places[1].sent_by, "127.0.0.1")
        for name, status in (("pbx.test", 503), ("other.test", 403)):
            async with open_endpoint([Listener(Address(AWAY, 0), TLS, tls=files(f"DNS:{name}"))]) as endpoint:
                peer = UserPhone(endpoint, front)
                answer = await peer.send(peer.request("INVITE", "sip:desk@desk.test", peer.sdp))
                assert answer.status == status, "503: it may call, but there is no way to a name that nobody knows"


async def test_a_user_proves_it_and_calls_and_is_found_behind_its_nat():
    async with open_town() as (world, phone):
        request = phone.request("INVITE", "sip:desk@desk.test", phone.sdp, [("P-Asserted-Identity", "<sip:boss@x>")])
        answered, proved = await phone.prove(request)
        assert answered.status == 200
        theirs = await world.callee.rings.receive()
        asserted = theirs.invite.headers.get("P-Asserted-Identity")
        assert asserted == "<sip:anna@desk.test>", "what was proved, whatever the phone says"
        assert "Authorization" not in theirs.invite.headers
        assert "anna@desk.test" in theirs.invite.headers.get("From")
        replayed = await phone.send(proved.with_headers(proved.headers.with_replaced("Call-ID", "replayed")))
        assert replayed.status == 401
        assert challenge_untrusted(replayed.headers.get("WWW-Authenticate")).stale


async def test_a_user_who_calls_in_the_name_of_another_is_refused():
    async with open_town() as (_, phone):
        refused, _ = await phone.prove(phone.request("INVITE", user="bo"))
        assert said(refused) == (403, [])


async def test_a_registered_user_is_called_where_its_register_came_from():
    async with open_town() as (world, phone):
        assert (await phone.prove(phone.request("REGISTER")))[0].status == 200
        assert (await phone.send(phone.request("OPTIONS"))).status == 200, "its keep-alives are answered"
        mine = world.caller.call(world.front, user="anna")
        theirs = await phone.rings.receive()
        assert theirs.invite.uri == NAT[1:-1]
        await mine.answered.wait()
        await theirs.acked.wait()
        mine.bye()
        await theirs.over.wait()
        await world.empties()


async def test_users_call_one_another():
    async with open_town() as (world, phone), open_endpoint(Address("127.0.0.3", 0)) as endpoint:
        other = UserPhone(endpoint, world.front, "bo")
        assert (await phone.prove(phone.request("REGISTER")))[0].status == 200
        answered, _ = await other.prove(other.request("INVITE", "sip:anna@desk.test", other.sdp))
        assert answered.status == 200
        theirs = await phone.rings.receive()
        assert "bo@desk.test" in theirs.invite.headers.get("From")


async def test_a_user_without_a_phone_is_away_and_a_name_that_nobody_has_is_the_trunks_affair():
    async with open_town() as (world, _):
        call = world.caller.call(world.front, user="anna")
        await call.refused.wait()
        assert call.statuses[-1] == 480
        world.caller.call(world.front, user="desk")
        assert (await world.callee.rings.receive()).invite.request_uri.user == "desk"


async def test_a_name_that_nobody_has_is_not_found_where_there_are_users_alone():
    async with open_town(targets=0) as (world, _):
        call = world.caller.call(world.front, user="nobody")
        await call.refused.wait()
        assert call.statuses[-1] == 404


async def test_a_user_is_found_by_an_address_of_nets_itself():
    async with open_town() as (world, phone):
        assert (await phone.prove(phone.request("REGISTER")))[0].status == 200
        world.caller.call(world.front, user="anna", host=str(world.front))
        await phone.rings.receive()


async def test_whoever_tries_out_secrets_is_soon_not_heard_and_others_are():
    async with open_town() as (world, phone):
        guard = world.nets._endpoint.guard
        phone.answerer = UserPhone(phone.endpoint, world.front, secret="wrong").answerer
        while not guard.turned_away:
            with trio.move_on_after(0.5):
                await phone.prove(phone.request("REGISTER"))
        await world.connect()


@pytest.mark.parametrize(
    ("listen", "callers", "admitted"),
    [
        ("127.0.0.1", None, {"127.0.0.1", "127.0.0.9"}),
        ("::1", None, {"127.0.0.1", "127.0.0.9"}),
        ("192.0.2.1", None, set()),
        ("192.0.2.1", ("192.0.2.0/24",), {"192.0.2.7"}),
        ("127.0.0.1", (), set()),
        ("192.0.2.1", ("0.0.0.0/0",), {"127.0.0.1", "127.0.0.9", "192.0.2.7"}),
    ],
)
def test_networks(listen, callers, admitted):
    gate = Gate(networks_of(NetsSpec("n", "h", (Listener(Address(listen, 5060)),), callers)))
    for _ in range(2):
        assert {
            host for host in ("127.0.0.1", "127.0.0.9", "192.0.2.7", "2001:db8::1") if gate.admits(host)
        } == admitted


async def test_a_large_request_goes_to_a_phone_by_udp_as_its_nat_takes_no_connection():
    listeners = [Listener(Address("127.0.0.1", 0)), Listener(Address("127.0.0.1", 0), TCP)]
    async with open_town(listeners=listeners) as (world, phone):
        assert (await phone.prove(phone.request("REGISTER")))[0].status == 200
        (trap,) = await trio.open_tcp_listeners(phone.endpoint.address.port, host=AWAY)
        mine = world.caller.call(world.front, user="anna", headers=[("Subject", "x" * 1500)])
        theirs = await phone.rings.receive()
        assert theirs.invite.via.transport == "UDP"
        await trap.aclose()
        await mine.answered.wait()
        mine.bye()
        await theirs.over.wait()


async def test_all_phones_of_a_user_ring_and_only_one_is_connected():
    async with open_town() as (world, phone), open_endpoint(Address("127.0.0.3", 0)) as endpoint:
        other = UserPhone(endpoint, world.front)
        other.contact = "<sip:anna@10.9.9.8:5060>"
        world.nursery.start_soon(other.run)
        phone.script, other.script = [180, None], [180, None]
        for one in (phone, other):
            assert (await one.prove(one.request("REGISTER")))[0].status == 200
        mine = world.caller.call(world.front, user="anna")
        first, second = await phone.rings.receive(), await other.rings.receive()
        assert first.heard == second.heard, "one media offer for both"
        await mine.ringing.wait()
        other.respond(second, 200)
        await mine.answered.wait()
        await first.over.wait()
        assert len(world.nets.explain(mine.invite.call_id)["call_ids"]) == 2
        mine.bye()
        await second.over.wait()
        await world.empties()
