"""Test phones that speak real SIP: what each is told to do, and what it hears."""

from __future__ import annotations

import re
import secrets

import trio

from mediaha.sip.dialog import Dialog, OutOfOrder
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.transaction.events import Acknowledged, Cancelled, Incoming, TimedOut, Unreachable

LOOPBACK = "127.0.0.1"
SDP = ("Content-Type", "application/sdp")


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
