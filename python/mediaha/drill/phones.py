"""Callers and callees of a drill: two SIP endpoints that carry any number of calls, with audio by the load generator.

A call of the drill has two legs. Each leg has a dialog with the site and an endpoint of the load, which sends to
wherever the site's last SDP said. Re-INVITEs are obeyed at once; that is how audio comes back after a fault.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog
import trio

from mediaha.load import Load
from mediaha.model.address import Address
from mediaha.sip.dialog import Dialog, OutOfOrder
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.sdp import streams
from mediaha.sip.transaction.events import (
    Acknowledged,
    Cancelled,
    ClientEvent,
    ClientKey,
    Incoming,
    ServerEvent,
    TimedOut,
    Unreachable,
)

SDP_TYPE = ("Content-Type", "application/sdp")

log = structlog.get_logger("drill")


@dataclass(slots=True)
class Leg:
    """One end of a call: its audio, and its dialog with the site."""

    audio: int
    """Its endpoint of the load."""
    listens: Address
    """Where it hears audio."""
    dialog: Dialog | None = None
    re_invites: int = 0

    def sdp(self) -> bytes:
        """What it offers and answers: always the same, so its version stays."""
        host, port = self.listens
        kind = "IP6" if ":" in host else "IP4"
        return (
            f"v=0\r\no=drill {port} 1 IN {kind} {host}\r\ns=mediaha drill\r\nc=IN {kind} {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        ).encode()


@dataclass(slots=True)
class Call:
    """A call of the drill. ``lost`` says why it ended before the drill ended it."""

    number: int
    caller: Leg
    callee: Leg
    call_id: str
    talks: bool = True
    """Otherwise its legs say nothing, and hear nothing."""
    invited_at: float = 0.0
    answered_at: float | None = None
    lost: str | None = None
    ended: bool = False
    settled: trio.Event = field(default_factory=trio.Event)
    """Set when the set-up has succeeded or failed."""
    over: trio.Event = field(default_factory=trio.Event)

    def legs(self) -> Iterator[Leg]:
        """The caller's and the callee's."""
        yield self.caller
        yield self.callee

    def lose(self, why: str) -> None:
        """Note the first reason why it was lost."""
        if self.lost is None and not self.ended:
            self.lost = why
        self.settled.set()
        self.over.set()


class Phones:
    """All callers and callees, on one endpoint each."""

    def __init__(self, load: Load, caller: Endpoint, callee: Endpoint, nets: Address, domain: str) -> None:
        self._load = load
        self._caller = caller
        self._callee = callee
        self._nets = nets
        self._domain = domain
        self._by_name: dict[str, Call] = {}
        self._by_call_id: dict[str, tuple[Call, Leg]] = {}
        self._run = secrets.token_hex(3)
        self.calls: list[Call] = []

    def prepare(self, number: int, *, talks: bool = True) -> Call:
        """A call with its two sockets; nothing is sent yet."""
        legs = []
        for endpoint in (self._caller, self._callee):
            audio, listens = self._load.open(endpoint.address.host)
            legs.append(Leg(audio, Address.parse(listens)))
        call = Call(number, legs[0], legs[1], f"drill-{self._run}-{number}@{self._caller.address.host}", talks)
        self._load.pair(call.caller.audio, call.callee.audio)
        self._by_name[f"drill-{self._run}-{number}"] = call
        self._by_call_id[call.call_id] = (call, call.caller)
        self.calls.append(call)
        return call

    def invite(self, call: Call, now: float) -> None:
        """Place the call; ``call.settled`` is set when it stands or has failed."""
        user = f"drill-{self._run}-{call.number}"
        uri = f"sip:{user}@{self._domain}"
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                ("From", f"<sip:caller@{self._caller.address}>;tag={secrets.token_hex(4)}"),
                ("To", f"<{uri}>"),
                ("Call-ID", call.call_id),
                ("CSeq", "1 INVITE"),
                _contact(self._caller),
                SDP_TYPE,
            ]
        )
        request = Request("INVITE", uri, headers, call.caller.sdp())
        call.invited_at = now
        key: ClientKey | None = None

        def told(event: ClientEvent) -> None:
            match event:
                case TimedOut():
                    call.lose("the site did not answer the INVITE")
                case Unreachable():
                    call.lose(f"the site cannot be reached: {event.why}")
                case Response() if event.status >= 300:
                    call.lose(f"the INVITE was answered {event.status} {event.reason}")
                case Response() if event.status >= 200 and key is not None:
                    self._answered(call, request, event, key)

        key = self._caller.send(request, self._nets, told)

    def _answered(self, call: Call, request: Request, response: Response, key: ClientKey) -> None:
        dialog = Dialog.from_response(request, response)
        self._caller.send_ack(dialog.ack(request.cseq.number), dialog.next_hop(), key)
        if call.answered_at is not None:
            return
        call.caller.dialog = dialog
        call.answered_at = trio.current_time()
        self._aim(call.caller, response.body)
        self._talk(call, call.caller)
        call.settled.set()

    def _talk(self, call: Call, leg: Leg) -> None:
        if call.talks:
            self._load.start(leg.audio)

    def _aim(self, leg: Leg, sdp: bytes) -> None:
        for stream in streams(sdp):
            host = stream.address.split()[-1:]  # IN IP4 192.0.2.1
            if stream.kind == b"audio" and host and stream.port != b"0":
                self._load.aim(leg.audio, str(Address(host[0].decode(), int(stream.port))))
                return

    async def serve_callers(self) -> None:
        """Answer what the site sends to callers."""
        await self._serve(self._caller)

    async def serve_callees(self) -> None:
        """Answer what the site sends to callees."""
        await self._serve(self._callee)

    async def _serve(self, endpoint: Endpoint) -> None:
        requests = endpoint.requests
        while True:
            self._take(endpoint, await requests.receive())
            try:
                while True:
                    self._take(endpoint, requests.receive_nowait())
            except trio.WouldBlock:
                continue

    def _take(self, endpoint: Endpoint, event: ServerEvent) -> None:
        match event:
            case Incoming():
                self._take_request(endpoint, event)
            case Cancelled():
                request = event.request
                endpoint.respond(event.transaction, request.response(487, to_tag="drill"))
            case Acknowledged():
                found = self._by_call_id.get(event.request.call_id)
                # The ACK of a re-INVITE may come after the call was ended here; nobody talks any more then.
                if found is not None and not found[0].ended:
                    self._talk(*found)
            case _:
                pass

    def _take_request(self, endpoint: Endpoint, event: Incoming) -> None:
        request = event.request
        found = self._by_call_id.get(request.call_id)
        if request.method == "INVITE" and not request.to_tag:
            self._ring(endpoint, event)
        elif found is None or found[1].dialog is None:
            endpoint.respond(event.transaction, request.response(481))
        elif request.method == "INVITE":
            self._re_invited(endpoint, event, found[1])
        elif request.method == "BYE":
            endpoint.respond(event.transaction, request.response(200))
            found[0].lose(f"the site ended the call: {request.headers.get('Reason') or 'no reason given'}")
        else:
            endpoint.respond(event.transaction, request.response(200))

    def _ring(self, endpoint: Endpoint, event: Incoming) -> None:
        request = event.request
        call = self._by_name.get(request.request_uri.user or "")
        if call is None or call.callee.dialog is not None:
            endpoint.respond(event.transaction, request.response(404, to_tag=secrets.token_hex(4)))
            return
        tag = secrets.token_hex(4)
        leg = call.callee
        leg.dialog = Dialog.from_request(request, tag)
        self._by_call_id[request.call_id] = (call, leg)
        self._aim(leg, request.body)
        endpoint.respond(event.transaction, request.response(180, to_tag=tag, headers=[_contact(endpoint)]))
        endpoint.respond(event.transaction, _ok(endpoint, request, leg, tag))

    def _re_invited(self, endpoint: Endpoint, event: Incoming, leg: Leg) -> None:
        assert leg.dialog is not None
        try:
            leg.dialog = leg.dialog.received(event.request)
        except OutOfOrder:
            endpoint.respond(event.transaction, event.request.response(500))
            return
        self._aim(leg, event.request.body)
        leg.re_invites += 1
        endpoint.respond(event.transaction, _ok(endpoint, event.request, leg, None))

    def end(self, call: Call) -> None:
        """Hang up at the caller; ``call.over`` is set when the site has answered."""
        call.ended = True
        for leg in call.legs():
            self._load.stop(leg.audio)
        if call.caller.dialog is None or call.over.is_set():
            call.over.set()
            return
        call.caller.dialog, bye = call.caller.dialog.request("BYE")
        self._caller.send(bye, call.caller.dialog.next_hop(), _final(call.over.set))


def _final(then: Callable[[], None]) -> Callable[[ClientEvent], None]:
    def told(event: ClientEvent) -> None:
        if not isinstance(event, Response) or event.final:
            then()

    return told


def _contact(endpoint: Endpoint) -> tuple[str, str]:
    return "Contact", f"<sip:drill@{endpoint.address}>"


def _ok(endpoint: Endpoint, request: Request, leg: Leg, tag: str | None) -> Response:
    return request.response(200, to_tag=tag, headers=[_contact(endpoint), SDP_TYPE], body=leg.sdp())
