"""A NeTS on loopback between test phones that speak real SIP, with a pool that rewrites SDP and can move calls."""

from __future__ import annotations

import random
import re
import secrets
from contextlib import asynccontextmanager

import trio

from mediaha.model.address import Address
from mediaha.model.listener import Listener
from mediaha.model.media import (
    Anchored,
    Attempt,
    Family,
    Fault,
    MediaRefused,
    Moved,
    ServerCondition,
    ServerView,
    Stranded,
)
from mediaha.model.site import Domain, NetsSpec
from mediaha.nets import Limits, serve_nets
from mediaha.sip.dialog import Dialog, OutOfOrder
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.transaction.events import Acknowledged, Cancelled, Incoming, TimedOut, Unreachable

LOOPBACK = "127.0.0.1"
SDP = ("Content-Type", "application/sdp")


def rewritten(sdp, port, family=None):
    """What a media server makes of an SDP: its own port in it, and an address of the family that is asked for."""
    if family is not None and b"c=IN %s " % family.value.encode() not in sdp:
        address = b"IP6 ::1" if family is Family.IPV6 else b"IP4 127.0.0.1"
        sdp = re.sub(rb"(?m)^c=IN (?!IP4 0.0.0.0)[^\r\n]*", b"c=IN " + address, sdp)
    return re.sub(rb"m=audio \d+", b"m=audio %d" % port, sdp)


class FakePool:
    """Media servers that only rewrite ports. The thousands of a port tell the server, the rest the call's side."""

    def __init__(self, *names):
        self.live = dict.fromkeys(names, True)
        self.ports = {name: 10000 * (index + 1) for index, name in enumerate(names)}
        self.calls = {}
        self.deleted = []
        self.asked = []
        self.refuse = None
        self.hold = None
        self._notify = None
        self._count = 0

    def begin_offer(self, call_id, from_tag, to_tag, sdp, servers, family, on):
        trio.lowlevel.spawn_system_task(self._tell, on, self._offer, call_id, from_tag, to_tag, sdp, servers, family)

    def begin_answer(self, call_id, from_tag, to_tag, sdp, family, on):
        trio.lowlevel.spawn_system_task(self._tell, on, self._answer, call_id, from_tag, to_tag, sdp, family)

    async def _tell(self, on, ask, *arguments):
        try:
            outcome = await ask(*arguments)
        except MediaRefused as refused:
            outcome = refused
        on(outcome)

    async def _offer(self, call_id, from_tag, to_tag, sdp, servers, family):
        self.asked.append(("offer", call_id))
        await self._pause()
        call = self.calls.get(call_id)
        if call is None:
            server = next((name for name in servers if self.live[name]), None)
            if server is None:
                raise MediaRefused(Fault.NO_SERVER, "no server answers")
            self._count += 1
            call = self.calls[call_id] = {
                "server": server, "from": from_tag, "sdp": {}, "offered": None, "number": self._count, "list": servers,
                "families": {},
            }  # fmt: skip
        call["offered"] = (from_tag, sdp)
        call["families"][from_tag] = family
        return self._anchored(call, from_tag, sdp)

    async def _answer(self, call_id, from_tag, to_tag, sdp, family):
        self.asked.append(("answer", call_id))
        await self._pause()
        call = self.calls.get(call_id)
        if call is None:
            raise MediaRefused(Fault.UNKNOWN_CALL, "no such call")
        assert call["offered"][0] == from_tag, "an answer to an offer nobody made"
        call["sdp"] = {from_tag: call["offered"][1], to_tag: sdp}
        call["families"][to_tag] = family
        return self._anchored(call, to_tag, sdp)

    async def adopt(self, call_id, *, from_tag, to_tag, from_sdp, to_sdp, servers, current, to_family=None):
        self._count += 1
        self.calls[call_id] = {
            "server": current, "from": from_tag, "sdp": {from_tag: from_sdp, to_tag: to_sdp}, "offered": None,
            "number": self._count, "list": servers, "families": {from_tag: to_family},
        }  # fmt: skip
        return Anchored(current, b"", ())

    def begin_delete(self, call_id):
        self.deleted.append(call_id)
        self.calls.pop(call_id, None)

    def give_notices(self, on_notice):
        self._notify = on_notice

    def servers(self):
        return tuple(
            ServerView(
                name, "127.0.0.1:2223", ServerCondition.USABLE if live else ServerCondition.DEAD, "", 0.0, 0, 0.2
            )
            for name, live in self.live.items()
        )

    def crash(self, name):
        """The server dies; its calls move to the next live one of their list, or are stranded."""
        self.live[name] = False
        for call_id, call in list(self.calls.items()):
            if call["server"] == name:
                self._move(call_id, call)

    def revive(self, name):
        self.live[name] = True
        for call_id, call in list(self.calls.items()):
            if not self.live[call["server"]]:
                self._move(call_id, call)

    def _move(self, call_id, call):
        before = call["server"]
        after = next((name for name in call["list"] if self.live[name]), None)
        if after is None:
            self._notify(Stranded(call_id, before, "no server is alive"))
            return
        call["server"] = after
        first = call["from"]
        other = next((tag for tag in call["sdp"] if tag != first), None)
        offer = call["sdp"].get(first) or call["offered"][1]
        self._notify(
            Moved(
                call_id,
                before,
                after,
                rewritten(call["sdp"][other], self._port(call, other), call["families"].get(other)) if other else None,
                rewritten(offer, self._port(call, first), call["families"].get(first)),
                (),
            )
        )

    def _port(self, call, tag):
        return self.ports[call["server"]] + 4 * (call["number"] % 2000) + (0 if tag == call["from"] else 2)

    def _anchored(self, call, tag, sdp):
        story = (Attempt(call["server"], "offer", 1.0, 1.001, "answered"),)
        return Anchored(call["server"], rewritten(sdp, self._port(call, tag), call["families"].get(tag)), story)

    async def _pause(self):
        await trio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None:
            raise self.refuse


def port_in(sdp):
    return int(re.search(rb"m=audio (\d+)", sdp)[1])


def phone_sdp(port, direction="sendrecv", version=1):
    return (
        f"v=0\r\no=- 9 {version} IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    ).encode()


class PhoneCall:
    """A phone's side of a call: its dialog, and the SDP it was last told."""

    def __init__(self, phone):
        self.phone = phone
        self.dialog = None
        self.heard = b""
        self.versions = []
        self.statuses = []
        self.invite = None
        self.key = None
        self.ringing = trio.Event()
        self.answered = trio.Event()
        self.refused = trio.Event()
        self.acked = trio.Event()
        self.over = trio.Event()
        self.why = None
        self.reinvites = 0
        self.notified = []
        self.changed = trio.Event()
        self.unanswered = None
        """The last re-INVITE that was met with silence."""

    @property
    def port(self):
        """The media server's port that this phone sends to."""
        return port_in(self.heard)

    def told(self, sdp):
        if sdp:
            self.heard = sdp
            self.versions.append(int(re.search(rb"o=\S+ \d+ (\d+)", sdp)[1]))
            self.changed.set()
            self.changed = trio.Event()

    def bye(self):
        self.dialog, request = self.dialog.request("BYE")
        self.phone.endpoint.send(request, self.dialog.next_target(), lambda outcome: self.over.set())

    def cancel(self):
        """Take back the INVITE that made the call."""
        self.phone.endpoint.cancel(self.key)

    def answer_late(self, status):
        """Answer the re-INVITE that was met with silence so far."""
        event, body = self.unanswered, self.phone.sdp if status == 200 else b""
        if body:
            self.told(event.request.body)
            self.phone.unacked[event.transaction] = self
        headers = [("Contact", self.phone.contact), *([SDP] if body else [])]
        self.phone.endpoint.respond(event.transaction, event.request.response(status, headers=headers, body=body))

    async def ask(self, method, body=b"", **headers):
        """A request in the dialog; its final response, acknowledged if need be."""
        fields = [
            ("Contact", self.phone.contact),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        self.dialog, request = self.dialog.request(
            method, headers=fields, body=body, content_type="application/sdp" if body else ""
        )
        answers, outcomes = trio.open_memory_channel(100)
        key = self.phone.endpoint.send(request, self.dialog.next_target(), answers.send_nowait)
        async for outcome in outcomes:
            if not isinstance(outcome, Response) or outcome.status >= 200:
                break
        if method == "INVITE" and isinstance(outcome, Response) and outcome.status < 300:
            self.told(outcome.body)
            answer = b"" if body else self.phone.sdp
            ack = self.dialog.ack(request.cseq.number, body=answer, content_type="application/sdp" if answer else "")
            self.phone.endpoint.send_ack(ack, self.dialog.next_target(), key)
        return outcome

    async def until_port(self, wanted):
        """Until the phone has been told a port for which ``wanted`` holds."""
        while not (self.heard and wanted(self.port)):
            await self.changed.wait()


class Phone:
    """A test phone: answers what it is told to answer, remembers what it hears."""

    def __init__(self, endpoint, name, port):
        self.endpoint = endpoint
        self.name = name
        self.sdp = phone_sdp(port)
        self.contact = f"<sip:{name}@{endpoint.address}>"
        self.calls = {}
        self.incoming, self.rings = trio.open_memory_channel(1000)
        self.script = [180, 200]
        """What an INVITE is answered with; ``early`` is a 183 with SDP, None waits for ``pick_up``."""
        self.notify_with = 200
        self.reinvite_with = []
        """Statuses that the next re-INVITEs get; then 200."""
        self.unacked = {}

    async def run(self):
        async for event in self.endpoint.requests:
            self._heard(event)

    def _heard(self, event):
        match event:
            case Incoming(request=request) if request.to.tag:
                self._in_dialog(event)
            case Incoming(request=request) if request.method == "INVITE":
                self._invited(event)
            case Incoming(request=request):
                self.endpoint.respond(event.transaction, request.response(200, to_tag="x"))
            case Acknowledged():
                call = self.unacked.pop(event.transaction, None)
                if call is not None:
                    call.told(event.request.body)
                    call.acked.set()
            case Cancelled():
                for call in self.calls.values():
                    if call.key == event.transaction:
                        self.endpoint.respond(call.key, call.invite.response(487, to_tag=call.dialog.local_tag))
                        call.over.set()

    def _invited(self, event):
        call = PhoneCall(self)
        tag = secrets.token_hex(4)
        call.dialog = Dialog.from_request(event.request, tag)
        call.invite, call.key = event.request, event.transaction
        call.told(event.request.body)
        self.calls[event.request.call_id] = call
        for status in self.script:
            if status is None:
                break
            self.respond(call, status)
        self.incoming.send_nowait(call)

    def respond(self, call, status):
        body = b""
        if status in {"early", 200}:
            body, status = self.sdp, 183 if status == "early" else 200
        headers = [("Contact", self.contact), *([SDP] if body else [])]
        if status == 200:
            self.unacked[call.key] = call
            call.answered.set()
        self.endpoint.respond(
            call.key, call.invite.response(status, to_tag=call.dialog.local_tag, headers=headers, body=body)
        )

    def _in_dialog(self, event):
        request = event.request
        call = self.calls.get(request.call_id)
        if call is None or call.over.is_set():
            self.endpoint.respond(event.transaction, request.response(481))
            return
        try:
            call.dialog = call.dialog.received(request)
        except OutOfOrder:
            self.endpoint.respond(event.transaction, request.response(500))
            return
        headers = [("Contact", self.contact)]
        if request.method == "BYE":
            call.why = request.headers.get("Reason")
            self.endpoint.respond(event.transaction, request.response(200))
            call.over.set()
        elif request.method == "NOTIFY":
            call.notified.append((request.body.decode(), request.headers.get("Subscription-State")))
            self.endpoint.respond(event.transaction, request.response(self.notify_with))
        elif request.method == "INVITE":
            call.reinvites += 1
            status = self.reinvite_with.pop(0) if self.reinvite_with else 200
            if status == "nothing":
                call.unanswered = event
                return
            if status == 200:
                call.told(request.body)
                self.unacked[event.transaction] = call
                headers.append(SDP)
                self.endpoint.respond(event.transaction, request.response(200, headers=headers, body=self.sdp))
            else:
                self.endpoint.respond(event.transaction, request.response(status))
        else:
            self.endpoint.respond(event.transaction, request.response(200, headers=headers))

    def call(self, nets, host="desk.test", *, offer=True, headers=(), user="desk", scheme="sip"):
        """Place a call; what comes of it is told by the returned call's events."""
        call = PhoneCall(self)
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        fields = [
            ("From", f"<sip:{self.name}@pbx.test>;tag={tag}"), ("To", f"<{scheme}:{user}@{host}>"),
            ("Call-ID", call_id), ("CSeq", "1 INVITE"), ("Contact", self.contact), ("Max-Forwards", "70"), *headers,
        ]  # fmt: skip
        body = self.sdp if offer else b""
        if body:
            fields.append(SDP)
        request = Request("INVITE", f"{scheme}:{user}@{host}", Headers(fields), body)
        call.invite = request
        self.calls[call_id] = call

        def told(outcome):
            if isinstance(outcome, TimedOut | Unreachable):
                call.statuses.append(outcome)
                call.refused.set()
                return
            call.statuses.append(outcome.status)
            if outcome.status < 200:
                if outcome.status > 100:
                    call.dialog = Dialog.from_response(request, outcome)
                    call.told(outcome.body)
                    call.ringing.set()
            elif outcome.status < 300:
                call.dialog = Dialog.from_response(request, outcome)
                call.told(outcome.body)
                answer = b"" if body else self.sdp
                ack = call.dialog.ack(1, body=answer, content_type="application/sdp" if answer else "")
                self.endpoint.send_ack(ack, call.dialog.next_target(), call.key)
                call.answered.set()
            else:
                call.final = outcome
                call.refused.set()

        call.key = self.endpoint.send(request, nets, told)
        return call


class World:
    def __init__(self, nets, pool, caller, callee, second):
        self.nets, self.pool = nets, pool
        self.front = nets.address
        """Where the caller sends its INVITEs."""
        self.caller, self.callee, self.second = caller, callee, second

    async def connect(self, **options):
        """A call that is up: the caller's side and the callee's."""
        mine = self.caller.call(self.front, **options)
        theirs = await self.callee.rings.receive()
        await mine.answered.wait()
        await theirs.acked.wait()
        await until(lambda: self.nets.explain(mine.invite.call_id)["state"] == "answered")
        await until(lambda: not self.nets._carrier.tables.sizes()["invites"])
        return mine, theirs

    def route(self, routes):
        """From now on calls go where these routes say."""
        self.routes.to = routes

    def spoil(self, seed, loss):
        """From now on messages of both phones are lost, repeated and delayed. Gives the network of each."""
        chance = random.Random(seed)
        phones = (self.caller, self.callee)
        return [BadNetwork(phone.endpoint, self.nursery, chance, loss) for phone in phones]

    async def empties(self):
        """Until nothing is left of any call: a leak makes the test time out."""
        await until(lambda: not any(self.nets._carrier.tables.sizes().values()))
        assert not self.pool.calls, "media is left"


async def until(condition, *, within=10.0):
    """Wait for the thing, looking often."""
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110 - what is waited for is in the code under test
            await trio.sleep(0.002)


class BadNetwork:
    """Between a phone and the world: loses, repeats and delays what goes either way, by a seed."""

    def __init__(self, endpoint, nursery, chance, loss):
        ((name, transport),) = endpoint._transports.items()
        self._transport, self._nursery, self._chance, self._loss = transport, nursery, chance, loss
        self._hear = endpoint.heard
        self.quiet = False
        endpoint._transports[name] = self
        endpoint.heard = lambda heard: self._hear(self._spoilt(heard))

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def vanish(self):
        """Nothing goes through any more, either way."""
        self._loss = 1.0

    def send(self, message, target):
        for _ in range(self._times()):
            if self._chance.random() < self._loss:
                self._nursery.start_soon(self._later, message, target, self._chance.random() * 0.1)
            else:
                self._transport.send(message, target)

    def receive(self):
        return self._spoilt(self._transport.receive())

    def _spoilt(self, heard):
        return heard._replace(messages=[message for message in heard.messages for _ in range(self._times())])

    def _times(self):
        drawn = self._chance.random()
        if self.quiet or drawn > 2 * self._loss:
            return 1
        return 0 if drawn < self._loss else 2

    async def _later(self, message, target, seconds):
        await trio.sleep(seconds)
        self._transport.send(message, target)


@asynccontextmanager
async def open_world(
    *,
    limits=None,
    timers=None,
    servers=("a", "b"),
    targets=1,
    checkpoint=None,
    pool=None,
    listeners=(),
    callers=None,
    phones=None,
    **more,
):
    pool = pool or FakePool(*servers)
    async with (
        open_endpoint(Address(LOOPBACK, 0), timers=timers) as one,
        open_endpoint(Address(LOOPBACK, 0), timers=timers) as two,
        open_endpoint(Address(LOOPBACK, 0), timers=timers) as three,
        trio.open_nursery() as nursery,
    ):
        caller, callee, second = Phone(one, "ann", 4000), Phone(two, "bob", 6000), Phone(three, "sue", 7000)
        for phone in (caller, callee, second):
            nursery.start_soon(phone.run)
        domain = Domain("desk.test", servers, (two.address, three.address)[:targets])

        class Routes:
            """What `World.route` says, or else a domain with the phones as its targets."""

            to = None

            @property
            def trunks(self):
                return self.to.trunks if self.to else ()

            @property
            def domains(self):
                return getattr(self.to, "domains", ()) if self.to else own

            def domain(self, name):
                if self.to:
                    return self.to.domain(name)
                return domain if name == "desk.test" else None

        own = (domain,)
        routes = Routes()

        spec = NetsSpec("nets-1", "here", listeners or (Listener(Address(LOOPBACK, 0)),), callers)

        async def run(task_status=trio.TASK_STATUS_IGNORED):
            await serve_nets(
                spec, routes, pool, limits=limits or Limits(), timers=timers, checkpoint=checkpoint,
                phones=phones, task_status=task_status, **more,
            )  # fmt: skip

        nets = await nursery.start(run)
        world = World(nets, pool, caller, callee, second)
        world.nursery = nursery
        world.routes = routes
        yield world
        nursery.cancel_scope.cancel()
