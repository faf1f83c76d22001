"""What comes in at the listeners of one NeTS: a request is answered, given to its call, or becomes a call."""

from __future__ import annotations

import secrets
import time
from itertools import count

import structlog

from mediaha.model.site import Domain, NetsSpec
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
from mediaha.nets.carrier import Carrier
from mediaha.nets.compose import sdp_of
from mediaha.nets.decide import begin
from mediaha.nets.entrance import Entrance
from mediaha.nets.events import Acked, Cancelled, Received
from mediaha.nets.headers import ABILITIES, ACCEPT, session_of
from mediaha.nets.ports import Media, Phones, Routes
from mediaha.nets.routing import Routing, Way
from mediaha.nets.switchboard import Switchboard
from mediaha.nets.tables import Held
from mediaha.nets.trunks.watch import Trunks
from mediaha.nets.underway import Party
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Headers, Request
from mediaha.sip.registration import Answer
from mediaha.sip.target import TLS
from mediaha.sip.transaction.events import Acknowledged, Incoming, ServerEvent, Unacknowledged
from mediaha.sip.transaction.events import Cancelled as CancelReceived

_log = structlog.get_logger("nets")


class Reception:
    """Takes what comes in; ``draining``: calls that are new are refused."""

    def __init__(
        self,
        spec: NetsSpec,
        endpoint: Endpoint,
        routes: Routes,
        media: Media,
        carrier: Carrier,
        trunks: Trunks,
        phones: Phones,
    ) -> None:
        self.draining = False
        self._endpoint = endpoint
        self._routes = routes
        self._media = media
        self._carrier = carrier
        self._trunks = trunks
        self._phones = phones
        self._limits = carrier.rules.limits
        self._entrance = Entrance(spec, endpoint, trunks, phones)
        self._routing = Routing(routes, trunks, phones, endpoint, self._limits)
        self._switchboard = Switchboard(carrier, self._routing.way)
        self._tag = secrets.token_hex(8)
        self._tx = count(1)

    def take(self, event: ServerEvent) -> None:
        """What the transaction layer has heard. A mistake of ours about one message is the endpoint's to survive."""
        if isinstance(event, Incoming):
            self._request(event)
        elif isinstance(event, Acknowledged):
            self._acknowledged(event)
        elif isinstance(event, CancelReceived):
            self._cancelled(event)
        else:
            self._unacknowledged(event)

    def cannot_take(self, domain: Domain | None) -> Refusal | None:
        """Why a call that came now would be refused; ``domain`` None: of any domain. None: it would be taken."""
        return self._busy() or without_media(self._limits, self._media.servers(), domain)

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
            refusal = screen(request, by_tls=event.flow.transport == TLS)
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
        refusal = self._screened(request) or self._begin(event, request, known=user is not None)
        if refusal is not None:
            self._refuse(event, refusal, for_good=True)

    def _begin(self, event: Incoming, request: Request, *, known: bool) -> Refusal | None:
        """Take a call, or say why not. ``known``: whoever calls has proved who he is."""
        tx = next(self._tx)

        def expect(held: Held, party: Party = Party.CALLER) -> None:
            self._carrier.tables.expect(held, party, tx, event.transaction, request)

        trunk = self._trunks.trunk_at(event.flow)
        by_flow = known or self._phones.are_at(event.flow)
        trusted = known or self._trunks.trusts(event.flow)
        if "Replaces" in request.headers:
            return self._switchboard.replace(
                request, tx, event.flow, expect, trunk=trunk, by_flow=by_flow, trusted=trusted
            )
        uri = request.request_uri
        way = self._routing.way(uri.user or "", uri.host)
        if uri.scheme == "sips" and isinstance(way, Way):
            way = way.secured()
        if isinstance(way, Refusal):
            return way
        of_session = self._carrier.tables.by_session(session_of(request))
        if goes_in_circles(request, way.domain, (held.call for held in of_session)):
            return Refusal(482)
        now = time.monotonic()
        try:
            decision = begin(
                request, tx, event.flow, id=secrets.token_hex(10), seed=secrets.token_hex(16),
                placed_at=time.time(), domain=Domain(way.domain, way.servers), targets=way.targets,
                now=now, rules=self._carrier.rules, trunk=trunk, by_flow=by_flow, trusted=trusted,
            )  # fmt: skip
        except Malformed as fault:
            return Refusal(400, str(fault))
        self._carrier.take(decision, request, now, expect)
        return None

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
        refusal = self.cannot_take(domain)
        accept = (*ABILITIES, ACCEPT)
        self._refuse(event, refusal or Refusal(200, headers=accept))

    def _busy(self) -> Refusal | None:
        calls, behind_s = len(self._carrier.tables.calls), self._endpoint.behind_s
        return busy(self._limits, draining=self.draining, calls=calls, behind_s=behind_s)

    def _refuse(self, event: Incoming, refusal: Refusal, *, for_good: bool = False) -> None:
        """Answer a request that no call has anything to do with.

        ``for_good``: it is from somebody who may call, and is remembered. Were it taken when it comes again, because
        there is room by then, somebody would be rung by a caller who has been told that it cannot be.
        """
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
        if refusal.status < 300 or for_good:
            self._endpoint.respond(event.transaction, response)
        else:
            # Whoever has not heard it asks again. Nobody is sent more than was sent in his name.
            self._endpoint.respond_once(event.transaction, response)
