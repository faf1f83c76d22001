"""One NeTS: requests and notices come in, calls are taken or refused, and a person may ask about them."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count

import structlog
import trio

from mediaha.model.address import Address
from mediaha.model.listener import ListenerView
from mediaha.model.media import Moved, ServerChanged
from mediaha.model.sip import SipSettings
from mediaha.model.site import Domain, NetsSpec
from mediaha.model.trunk import RegistrationView, TargetView, Trunk, WhenDown
from mediaha.model.user import User
from mediaha.nets.admission import (
    Refusal,
    busy,
    came_back,
    goes_in_circles,
    screen,
    screen_invite,
    without_media,
)
from mediaha.nets.call import Call, Leg
from mediaha.nets.carrier import Carrier
from mediaha.nets.compose import sdp_of
from mediaha.nets.decide import begin
from mediaha.nets.entrance import Entrance
from mediaha.nets.events import Acked, Cancelled, Received, Stop
from mediaha.nets.gate import networks_of
from mediaha.nets.headers import ABILITIES, session_of
from mediaha.nets.opening import guard_of, stream_limits_of, timers_of, transaction_limits_of
from mediaha.nets.ports import Checkpoint, Media, NoCheckpoint, NoPhones, Notice, Phones, Routes
from mediaha.nets.routing import Routing
from mediaha.nets.rules import Limits, Rules, contacts_of
from mediaha.nets.story import phase_name
from mediaha.nets.switchboard import Switchboard
from mediaha.nets.tables import Held
from mediaha.nets.tracing import Tracer
from mediaha.nets.trunks.registering import Registrations
from mediaha.nets.trunks.watch import Trunks
from mediaha.nets.underway import Party
from mediaha.nets.written import adopted
from mediaha.sip.endpoint import Endpoint, open_endpoint
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Headers, Request
from mediaha.sip.registration import Answer
from mediaha.sip.target import TLS, Target
from mediaha.sip.trace import Traced
from mediaha.sip.transaction.events import Acknowledged, Incoming, ServerEvent, Unacknowledged
from mediaha.sip.transaction.events import Cancelled as CancelReceived
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transport.tls import CertificateError

BYE_S_MAX = 4.0
"""How long the ends of calls are waited for when NeTS stops."""

_log = structlog.get_logger("nets")


class Nets:
    """Session control at its listeners; ``serve_nets`` makes it."""

    def __init__(
        self,
        spec: NetsSpec,
        endpoint: Endpoint,
        routes: Routes,
        media: Media,
        carrier: Carrier,
        trunks: Trunks,
        phones: Phones,
        registrations: Registrations,
    ) -> None:
        self.spec = spec
        self.draining = False
        """Whether new calls are refused."""
        self._endpoint = endpoint
        self._routes = routes
        self._media = media
        self._carrier = carrier
        self._trunks = trunks
        self._phones = phones
        self._entrance = Entrance(spec, endpoint, trunks, phones)
        self._registrations = registrations
        self._routing = Routing(routes, trunks, phones, endpoint, carrier.rules.limits)
        self._switchboard = Switchboard(carrier, self._routing.way)
        trunks.on_down = self._target_down
        self._limits = carrier.rules.limits
        self._tracer = Tracer(carrier.stories.call_ids)
        self._tag = secrets.token_hex(8)
        self._tx = count(1)

    @property
    def address(self) -> Address:
        """Where its first listener listens, with the real port."""
        return self._endpoint.address

    def listeners(self) -> tuple[ListenerView, ...]:
        """Where it listens, and how much that is used."""
        return self._endpoint.listeners()

    def transactions(self) -> int:
        """SIP transactions that are not forgotten yet."""
        return self._endpoint.transactions

    def turned_away(self) -> int:
        """Messages that were dropped unread since the start: their sources had sent too many."""
        return self._endpoint.counters.turned_away

    def calls(self) -> tuple[Call, ...]:
        """The calls as they are now, those that are being set up or ended included."""
        return tuple(held.call for held in self._carrier.tables.calls.values())

    def explain(self, name: str) -> dict[str, object] | None:
        """The story of a call, JSON-able, by NeTS's own name for it or the Call-ID of either leg; None: unknown."""
        held = self._carrier.tables.calls.get(name)
        if held is not None:
            held.story.update(held.call)
        return self._carrier.stories.explain(name)

    def trace(self, name: str, wanted: str, seconds: float) -> bool:
        """Keep the messages of a call from now on, see ``Tracer.begin``. Raises TraceRefused."""
        known = self._tracer.begin(name, wanted, seconds, time.monotonic())
        self._endpoint.tap = self._trace
        return known

    def traced(self, name: str) -> tuple[tuple[Traced, ...], int] | None:
        """The messages since this was asked last, see ``Tracer.take``."""
        return self._tracer.take(name, time.monotonic())

    def untrace(self, name: str) -> None:
        """Keep no more messages for this trace."""
        self._tracer.end(name)

    def under_way(self, name: str) -> bool:
        """Whether a call of this name is there: NeTS's own, or the Call-ID of a leg."""
        wanted = {name, *self._carrier.stories.call_ids(name)}
        calls = self._carrier.tables.calls
        return name in calls or any(not wanted.isdisjoint(held.story.call_ids) for held in calls.values())

    def _trace(self, traced: Traced) -> None:
        self._tracer.expire(time.monotonic())
        if not self._tracer:
            self._endpoint.tap = None
        self._tracer.note(traced)

    def status(self) -> dict[str, object]:
        """What a person wants to know at a glance, JSON-able."""
        clients, servers = self._endpoint.open_transactions
        return {
            "name": self.spec.name,
            "listen": list(self._endpoint.listening),
            "draining": self.draining,
            "taking_calls": self._cannot_take(None) is None,
            "calls": dict(Counter(phase_name(call.phase) for call in self.calls())),
            "decisions": dict(self._carrier.counters),
            "tables": {
                **self._carrier.tables.sizes(),
                "client_transactions": clients,
                "server_transactions": servers,
            },
        }

    def registrations(self) -> tuple[RegistrationView, ...]:
        """Where it has registered with carriers."""
        return self._registrations.views()

    def is_open(self, flow: Target) -> bool:
        """Whether a way by which somebody came is still there."""
        return self._endpoint.is_open(flow)

    def targets(self) -> tuple[TargetView, ...]:
        """The targets of the trunks, and how they are."""
        return self._trunks.views()

    async def drain(self, deadline_s: float) -> None:
        """Take no more calls, let those that are there end; after ``deadline_s`` end the rest with BYE.

        Returns when there is no call any more, or when parties do not respond to their BYE.
        """
        self.draining = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._registrations.leave)
            with trio.move_on_after(deadline_s):
                await self._empty()
        for held in list(self._carrier.tables.calls.values()):
            self._carrier.happens(held, Stop("Server is shutting down"))
        with trio.move_on_after(BYE_S_MAX):
            await self._empty()

    def renew_certificates(self) -> None:
        """Read the files of the TLS listeners again, for connections to come. What cannot be used is logged."""
        if not any(place.transport == TLS for place in self._endpoint.places):
            return
        try:
            self._endpoint.reload_certificates()
        except CertificateError as error:
            _log.error("certificates cannot be used; those before stay in use", name=self.spec.name, why=str(error))
        else:
            _log.info("certificates were read again", name=self.spec.name)

    def _target_down(self, trunk: Trunk, target: Target) -> None:
        if trunk.when_down is not WhenDown.END:
            return
        for held in list(self._carrier.tables.calls.values()):
            if any(_goes_by(leg, target) for leg in (held.call.caller, held.call.callee)):
                self._carrier.happens(held, Stop(f"Trunk {trunk.name} is down"))

    async def adopt(self, call: Call) -> bool:
        """Go on with a call that another NeTS has written down. False: it was not far enough to be continued."""
        continued = adopted(call, time.monotonic())
        if continued is None or call.id in self._carrier.tables.calls:
            return False
        self._carrier.adopt(continued)
        await self._carrier.adopt_media(self._carrier.tables.calls[call.id])
        return True

    async def _empty(self) -> None:
        while self._carrier.tables.calls:
            self._carrier.emptied = trio.Event()
            await self._carrier.emptied.wait()

    # What comes in

    async def listen(self) -> None:
        """Take requests until cancelled."""
        requests = self._endpoint.requests
        async for event in requests:
            self._heard(event)
            while True:
                try:
                    self._heard(requests.receive_nowait())
                except trio.WouldBlock:
                    break

    async def heed(self) -> None:
        """Take the pool's notices until there are no more. The path from here to the re-INVITEs has no wait in it."""
        notices = self._media.notices()
        async for notice in notices:
            self._noticed(notice)
            while True:
                try:
                    self._noticed(notices.receive_nowait())
                except trio.WouldBlock:
                    break

    def _noticed(self, notice: Notice) -> None:
        if isinstance(notice, ServerChanged):
            _log.info("media server", server=notice.server, condition=str(notice.condition), why=notice.why)
            return
        held = self._carrier.tables.calls.get(notice.call_id)
        if held is not None:
            self._carrier.happens(held, notice)
        elif isinstance(notice, Moved):
            _log.debug("a call that is over was moved", call_id=notice.call_id)

    def _heard(self, event: ServerEvent) -> None:
        try:
            if isinstance(event, Incoming):
                self._request(event)
            elif isinstance(event, Acknowledged):
                self._acknowledged(event)
            elif isinstance(event, CancelReceived):
                self._cancelled(event)
            else:
                self._unacknowledged(event)
        except Exception:
            # A mistake of ours about one message must not end all calls.
            _log.exception("message failed", event_type=type(event).__name__)

    def _acknowledged(self, event: Acknowledged) -> None:
        found = self._carrier.tables.by_invite(event.transaction)
        if found is not None:
            held, party, tx = found
            self._carrier.tables.acknowledged(held, tx)
            self._carrier.happens(held, Acked(party, tx, sdp_of(event.request)))

    def _cancelled(self, event: CancelReceived) -> None:
        found = self._carrier.tables.by_invite(event.transaction)
        if found is not None:
            held, _, tx = found
            self._carrier.happens(held, Cancelled(tx, event.request.headers.get("Reason")))

    def _unacknowledged(self, event: Unacknowledged) -> None:
        # The call itself waits as long, and ends with BYE; here is only one name less for it.
        found = self._carrier.tables.by_invite(event.transaction)
        if found is not None:
            self._carrier.tables.acknowledged(found[0], found[2])

    def _request(self, event: Incoming) -> None:
        request = event.request
        user = None
        if request.to.tag is None:
            asked = self._entrance.ask(event)
            if isinstance(asked, Answer):
                self._refuse(event, Refusal(asked.status, asked.reason, asked.headers))
                return
            user = asked
        try:
            refusal = screen(request)
        except Malformed as fault:
            refusal = Refusal(400, str(fault))
        if refusal is not None:
            self._refuse(event, refusal)
        elif request.to.tag is not None:
            self._in_dialog(event)
        elif request.method == "INVITE":
            self._invite(event, user)
        elif request.method == "OPTIONS":
            self._options(event)
        elif request.method == "REFER":
            # Whose call is to be transferred, only a dialog says.
            self._refuse(event, Refusal(403))
        else:
            self._refuse(event, Refusal(481))

    def _in_dialog(self, event: Incoming) -> None:
        request = event.request
        found = self._carrier.tables.by_tag(request.to_tag)
        if found is None:
            self._refuse(event, Refusal(481))
            return
        held, party = found
        tx = next(self._tx)
        self._carrier.tables.expect(held, party, tx, event.transaction, request)
        self._carrier.happens(held, Received(party, tx, request, event.flow))

    def _invite(self, event: Incoming, user: User | None) -> None:
        """A call; ``user`` has proved that it is from him."""
        request = event.request
        if user is not None:
            # Whoever he says that he is: that much is known, and may be asserted (RFC 3325 section 5).
            headers = request.headers.without("P-Asserted-Identity", "P-Preferred-Identity")
            identity = ("P-Asserted-Identity", f"<sip:{user.address}>")
            request = request.with_headers(Headers((*headers, identity)))
        refusal = self._screened(request)
        if refusal is not None:
            self._refuse(event, refusal)
            return
        tx = next(self._tx)

        def expect(held: Held) -> None:
            self._carrier.tables.expect(held, Party.CALLER, tx, event.transaction, request)

        trunk = self._trunks.trunk_at(event.flow)
        by_flow = user is not None or self._phones.are_at(event.flow)
        trusted = user is not None or self._trunks.trusts(event.flow)
        if "Replaces" in request.headers:
            refusal = self._switchboard.replace(
                request, tx, event.flow, expect, trunk=trunk, by_flow=by_flow, trusted=trusted
            )
            if refusal is not None:
                self._refuse(event, refusal)
            return
        uri = request.request_uri
        way = self._routing.way(uri.user or "", uri.host)
        if isinstance(way, Refusal):
            self._refuse(event, way)
            return
        of_session = self._carrier.tables.by_session(session_of(request))
        if goes_in_circles(request, way.domain, (held.call for held in of_session)):
            self._refuse(event, Refusal(482))
            return
        now = time.monotonic()
        try:
            decision = begin(
                request, tx, event.flow, id=secrets.token_hex(10), seed=secrets.token_hex(16),
                placed_at=time.time(), domain=Domain(way.domain, way.servers), targets=way.targets,
                now=now, rules=self._carrier.rules, trunk=trunk, by_flow=by_flow, trusted=trusted,
            )  # fmt: skip
        except Malformed as fault:
            self._refuse(event, Refusal(400, str(fault)))
            return
        self._carrier.take(decision, request, now, expect)

    def _screened(self, request: Request) -> Refusal | None:
        """Why a call cannot be taken, wherever it goes."""
        if self._carrier.tables.is_merged(request) or self._is_loop(request):
            return Refusal(482)
        return screen_invite(request, self._limits) or self._busy()

    def _is_loop(self, request: Request) -> bool:
        found = self._carrier.tables.by_tag(request.from_tag)
        return found is not None and came_back(request, found[1], found[0].call)

    def _options(self, event: Incoming) -> None:
        """Whether calls can be taken, as call managers ask before they send one (N2)."""
        try:
            domain = self._routes.domain(event.request.request_uri.host)
        except Malformed as fault:
            self._refuse(event, Refusal(400, str(fault)))
            return
        refusal = self._cannot_take(domain)
        accept = (*ABILITIES, ("Accept", "application/sdp"))
        self._refuse(event, refusal or Refusal(200, headers=accept))

    def _cannot_take(self, domain: Domain | None) -> Refusal | None:
        return self._busy() or without_media(self._limits, self._media.servers(), domain)

    def _busy(self) -> Refusal | None:
        calls, backlog = len(self._carrier.tables.calls), self._endpoint.requests.statistics().current_buffer_used
        return busy(self._limits, draining=self.draining, calls=calls, backlog=backlog)

    def _refuse(self, event: Incoming, refusal: Refusal) -> None:
        """Answer a request that no call has anything to do with."""
        request = event.request
        if refusal.status >= 300:
            # To be asked who one is, is no refusal: each phone is, again and again.
            asked = refusal.status == 401
            counted = "asked who" if asked else "refused"
            self._carrier.counters[counted] = self._carrier.counters.get(counted, 0) + 1
            (_log.debug if asked else _log.info)(
                "request refused",
                method=request.method,
                status=refusal.status,
                why=refusal.reason,
                source=str(event.source),
                call_id=request.call_id,
            )
        response = request.response(refusal.status, refusal.reason, to_tag=self._tag, headers=refusal.headers)
        if refusal.status < 300:
            self._endpoint.respond(event.transaction, response)
        else:
            # Whoever has not heard it asks again. Nobody is sent more than was sent in his name.
            self._endpoint.respond_once(event.transaction, response)


def _goes_by(leg: Leg, target: Target) -> bool:
    """Whether the party of a leg is at this target: we have called it there, or it has called us from there.

    Over a connection a call comes from any port; then its Contact tells.
    """
    met, contact = leg.met, leg.dialog.next_target() if leg.dialog is not None else None
    return any(one is not None and (one.transport, one.address) == target[:2] for one in (met, contact))


async def serve_nets(
    spec: NetsSpec,
    routes: Routes,
    media: Media,
    *,
    limits: Limits | None = None,
    sip: SipSettings | None = None,
    name_servers: Sequence[Address] = (),
    timers: Timers | None = None,
    checkpoint: Checkpoint | None = None,
    phones: Phones | None = None,
    task_status: trio.TaskStatus[Nets] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a NeTS until cancelled; ``started()`` gives it once it listens.

    ``routes`` says which domain a callee belongs to, ``media`` is the failover pool, ``checkpoint`` where calls are
    written down (nowhere by default), ``phones`` the registrar (nobody can register by default). ``timers`` overrule
    those of ``sip``; ``name_servers`` are asked for names, none: those of the machine. Raises OSError when an address
    cannot be listened at, CertificateError. Being cancelled ends no call: ``drain`` first.
    """
    limits, sip = limits or Limits(), sip or SipSettings()
    async with (
        open_endpoint(
            spec.listeners,
            timers=timers or timers_of(sip),
            limits=transaction_limits_of(sip),
            stream_limits=stream_limits_of(sip),
            guard=guard_of(sip, networks_of(spec)),
        ) as endpoint,
        trio.open_nursery() as nursery,
    ):
        here = endpoint.places[0].sent_by
        contacts = contacts_of(endpoint.places)
        rules = Rules(contact=f"sip:nets@{here}", host=here.host, limits=limits, contacts=contacts)
        trunks = Trunks(endpoint, routes, rules, name_servers)
        carrier = Carrier(endpoint, media, rules, checkpoint or NoCheckpoint(), nursery, trunks)
        registrations = Registrations(endpoint, routes, rules, trunks)
        known = NoPhones() if phones is None else phones
        nets = Nets(spec, endpoint, routes, media, carrier, trunks, known, registrations)
        nursery.start_soon(trunks.run)
        nursery.start_soon(registrations.run)
        nursery.start_soon(carrier.journal.run)
        nursery.start_soon(carrier.keep_time)
        nursery.start_soon(nets.listen)
        nursery.start_soon(nets.heed)
        _log.info("listening", name=spec.name, listeners=list(endpoint.listening))
        task_status.started(nets)
        await trio.sleep_forever()
