"""Who speaks to a NeTS, and what: a caller's and a callee's messages, as they should be and as they should not."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mediaha.sip.message import MessageError, Request
from mediaha.sip.reading import message_untrusted
from tests.fuzz.garble import spoilt
from tests.fuzz.stage import CALLER, CARRIER, FIRST, HERE, OTHER, PHONE, SECOND, STRANGER
from tests.fuzz.wire import Stream

KEPT = 48
"""Of each kind of thing that a program may come back to."""

PLACES = (CALLER, CALLER, CALLER, CALLER, OTHER, STRANGER, PHONE, FIRST)
CALLED = (
    "desk@desk.test", "desk@desk.test", "x@trunk.test", "sue@desk.test", "desk@tcp.test", "x@nowhere.test",
    "desk.test",
)  # fmt: skip
STATUSES = (
    *[200] * 16, 180, 180, 183, 183, 183, 183, 100, 491, 491, 486, 302, 401, 407, 408, 422, 481, 487, 488, 500, 503,
    603, 199, 202,
)  # fmt: skip
METHODS = (
    "BYE", "INVITE", "INVITE", "INVITE", "UPDATE", "PRACK", "PRACK", "REFER", "INFO", "MESSAGE", "OPTIONS", "NOTIFY",
    "ACK", "CANCEL", "SUBSCRIBE", "FOO",
)  # fmt: skip
REASONS = {100: "Trying", 180: "Ringing", 200: "OK"}


def sdp(host="203.0.113.5", port=4000, version=1, direction="sendrecv"):
    return (
        f"v=0\r\no=- 7 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    )


BODIES = (sdp(), sdp(), "", sdp(port=4002, version=2), sdp(version=3, direction="sendonly"), "nonsense", sdp(port=0))
RELIABLY = ((), ("Supported: 100rel",), ("Require: 100rel",))
SESSIONS = (
    (), (), ("Supported: timer", "Session-Expires: 100"), ("Session-Expires: 90;refresher=uas",),
    ("Session-Expires: 95;refresher=uac",), ("Session-Expires: 20",), ("Min-SE: 120",),
)  # fmt: skip
EXTRAS = (
    ("Allow: INVITE, UPDATE, PRACK",), (), ("Max-Forwards: 0",), ("Require: foo",), ("Privacy: id",),
    ("Session-ID: ab30317f1a784dc48ff824d0d3715d86",), ("Accept: text/plain",), ("Reason: SIP;cause=486",),
    ("Record-Route: <sip:203.0.113.9;lr>, <sip:203.0.113.8:5070>",), ("Content-Encoding: gzip",),
    ("Diversion: <sip:d@pbx.test>;reason=no-answer",), ("Expires: 1",),
)  # fmt: skip
CHALLENGES = (
    'Digest realm="carrier.test", nonce="n1", qop="auth", algorithm=SHA-256',
    'Digest realm="carrier.test", nonce="n2"', 'Digest realm="carrier.test", nonce="n3", stale=true',
    'Digest realm="other", nonce="n"', "Basic realm=x", "Digest",
)  # fmt: skip
REFERRED = ("desk@desk.test", "sue@desk.test", "x@trunk.test", "x@nowhere.test", "%zz@desk.test")


@dataclass
class Line:
    """A dialog, as its party knows it."""

    call_id: str
    ours: str
    """The party's From in it, with its tag."""
    theirs: str
    target: str = f"sip:nets@{HERE}"
    cseq: int = 0
    invite_cseq: int = 1
    rseq: int = 1
    way: object = CALLER

    @property
    def tags(self) -> tuple[str, str]:
        return tag_of(self.ours), tag_of(self.theirs)


@dataclass
class Asked:
    """An INVITE of a party."""

    line: Line
    uri: str
    branch: str
    cseq: int
    way: object


@dataclass
class Parties:
    """Everybody but NeTS. What they remember of what they said and heard is what they may come back to."""

    stage: object
    lines: dict = field(default_factory=dict)
    invites: deque = field(default_factory=lambda: deque(maxlen=KEPT))
    oks: deque = field(default_factory=lambda: deque(maxlen=KEPT))
    """2xx to those, each with its dialog."""
    asked: deque = field(default_factory=lambda: deque(maxlen=KEPT))
    """Requests of NeTS that wait for a response, and whereto they went."""
    said: deque = field(default_factory=lambda: deque(maxlen=KEPT))
    tagless: set = field(default_factory=set)
    """Calls that were answered without a tag."""
    count: int = 0
    on_said = None
    """Called with each message that is sent to NeTS, whence, and whether it is as its sender meant it."""

    # What they hear

    def hear(self, message: Request, way) -> None:
        if isinstance(message, Request):
            if message.method != "ACK" and not any(
                one.via.branch == message.via.branch and one.method == message.method for one, _ in self.asked
            ):
                self.asked.append((message, way))
            return
        if 100 < message.status < 300 and message.to_tag and message.cseq.method == "INVITE":
            self._learn(message, way)

    def _learn(self, response, way) -> None:
        key = (response.call_id, response.from_tag, response.to_tag)
        line = self.lines.get(key)
        if line is None:
            line = Line(response.call_id, response.headers.get("From"), response.headers.get("To"), way=way)
            line.cseq = line.invite_cseq = response.cseq.number
            self._keep(key, line)
        rseq = response.headers.get("RSeq")
        if rseq:
            line.rseq = int(rseq)
        if 200 <= response.status < 300:
            self.oks.append((line, response.cseq.number))

    def _keep(self, key, line) -> None:
        if len(self.lines) >= KEPT:
            del self.lines[next(iter(self.lines))]
        self.lines[key] = line

    # What they say

    def say(self, message: bytes, way, script=None, *, again: bool = False) -> None:
        """Send it, spoilt if there is a script that says so."""
        proper = message
        if script is not None:
            message = spoilt(message, script)
        self.said.append((message, way))
        if self.on_said is not None:
            self.on_said(message, way, message == proper and not again)
        if not isinstance(way, Stream):
            self.stage.udp.says(message, way)
        elif not way.over:
            way.says(message)

    def number(self) -> int:
        self.count += 1
        return self.count

    def via(self, way, branch: str) -> str:
        """A Via as whoever is there writes it."""
        if isinstance(way, Stream):
            return f"SIP/2.0/TCP {way.remote};branch=z9hG4bK{branch}"
        return f"SIP/2.0/UDP {way};rport;branch=z9hG4bK{branch}"

    def call(self, script, way) -> None:
        """An INVITE that makes a call."""
        number = self.number()
        called = f"sip:{script.mostly(CALLED)}"
        line = Line(f"call-{number}", f'"Ann" <sip:ann@pbx.test>;tag=ann{number}', f"<{called}>", called, 1, way=way)
        headers = [*script.mostly(RELIABLY), *script.mostly(SESSIONS), *script.mostly(EXTRAS)]
        if self.lines and script.rarely():
            replaced = script.latest(list(self.lines.values()))
            ours, theirs = replaced.tags
            early = ";early-only" if script.rarely() else ""
            headers.append(f"Replaces: {replaced.call_id};to-tag={theirs};from-tag={ours}{early}")
        asked = Asked(line, called, f"i{number}", 1, way)
        self.invites.append(asked)
        self._send(line, "INVITE", called, asked.branch, 1, headers, script.mostly(BODIES), script)

    def ask(self, script) -> None:
        """A request inside a dialog."""
        if not self.lines:
            return
        line = script.latest(list(self.lines.values()))
        method = script.pick(METHODS)
        number = self.number()
        headers = [*script.mostly(SESSIONS), *script.mostly(EXTRAS)]
        body = script.mostly(BODIES) if method in {"INVITE", "UPDATE", "PRACK", "INFO", "MESSAGE", "ACK"} else ""
        if method not in {"ACK", "CANCEL"}:
            line.cseq += (1, 1, 1, 1, 1, 1, 0, -1, 2**31 - 2, 3)[script.byte() % 10] if script.rarely() else 1
        if method == "PRACK":
            headers.append(
                f"RAck: {line.rseq + (script.byte() % 3 if script.rarely() else 0)} {line.invite_cseq} INVITE"
            )
        if method == "REFER":
            headers += self._refers(script)
        if method == "NOTIFY":
            headers += ["Event: refer", "Subscription-State: terminated"]
        if method == "INVITE":
            line.invite_cseq = line.cseq
            self.invites.append(Asked(line, line.target, f"r{number}", line.cseq, line.way))
        self._send(line, method, line.target, f"r{number}", line.cseq, headers, body, script)

    def _refers(self, script) -> list[str]:
        to = f"sip:{script.pick(REFERRED)}"
        if script.byte() % 3 == 2:
            consulted = script.latest(list(self.lines.values()))
            ours, theirs = consulted.tags
            to += f"?Replaces={consulted.call_id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{ours}"
        return [
            f"Refer-To: <{to}>",
            *script.pick(((), (), ("Refer-Sub: false",), ("Referred-By: <sip:ann@pbx.test>",))),
        ]

    def acknowledge(self, script) -> None:
        """The ACK of a 2xx, or one that nobody waits for."""
        if not self.oks:
            return
        line, cseq = script.latest(self.oks)
        if not script.rarely():
            self.oks.remove((line, cseq))
        body = script.pick(("", "", sdp(), "nonsense"))
        self._send(line, "ACK", line.target, f"a{self.number()}", cseq, (), body, script)

    def acknowledge_properly(self) -> bool:
        """The ACK of the oldest 2xx that has none, if there is one."""
        if not self.oks:
            return False
        line, cseq = self.oks.popleft()
        self._send(line, "ACK", line.target, f"a{self.number()}", cseq, (), "")
        return True

    def answer_properly(self, *, others: bool, changes: bool, calls: bool) -> bool:
        """A 200 for the oldest request of NeTS that is one of these: in dialogs, INVITEs there, first INVITEs."""
        for item in self.asked:
            request, way = item
            wanted = others if request.method != "INVITE" else changes if request.to_tag else calls
            if wanted:
                self.asked.remove(item)
                self._respond(request, way, 200, request.to_tag or "far", _contact(way), (), sdp(port=6000))
                return True
        return False

    def cancel(self, script) -> None:
        if not self.invites:
            return
        one = script.latest(self.invites)
        self._send(one.line, "CANCEL", one.uri, one.branch, one.cseq, (), "", script)

    def refuse_ack(self, script) -> None:
        """The ACK that a refusal gets, or any that has an INVITE's branch."""
        if not self.invites:
            return
        one = script.latest(self.invites)
        self._send(one.line, "ACK", one.uri, one.branch, one.cseq, (), "", script)

    def _send(self, line, method, uri, branch, cseq, headers, body, script=None) -> None:
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: {self.via(line.way, branch)}",
            f"From: {line.ours}",
            f"To: {line.theirs}",
            f"Call-ID: {line.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: {_contact(line.way)}",
            *(["Max-Forwards: 70"] if not any(one.startswith("Max-F") for one in headers) else []),
            *headers,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        self.say(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), line.way, script)

    def answer(self, script) -> None:
        """A response to a request of NeTS."""
        if not self.asked:
            return
        item = script.latest(self.asked)
        request, way = item
        status = script.pick(STATUSES)
        if status >= 200 and not script.rarely():
            self.asked.remove(item)
        tag = request.to_tag or (script.pick(("far", "far", "far", "far", "other", "")) if status > 100 else "")
        contact = script.mostly((_contact(way), "<nonsense", "<sip:bob@host.test>", "<sip:sue@desk.test>"))
        body = script.mostly(BODIES) if status < 300 and request.method in {"INVITE", "UPDATE", "PRACK"} else ""
        headers = [*script.mostly(SESSIONS), *self._of_status(status, request, script)]
        self._respond(request, way, status, tag, contact, headers, body, script)

    def _respond(self, request, way, status, tag, contact, headers, body, script=None) -> None:
        to = request.headers.get("To")
        if 200 <= status < 300 and not tag:
            self.tagless.add(request.call_id)
        if request.call_id in self.tagless:
            tag = ""  # who follows RFC 2543 does so all the time
        if tag and not request.to_tag:
            to += f";tag={tag}"
        if tag and request.method == "INVITE" and 100 < status < 300:
            self._be_called(request, to, way)
        lines = [
            f"SIP/2.0 {status} {REASONS.get(status, 'So')}",
            *(f"Via: {value}" for value in request.headers.all("Via")),
            f"From: {request.headers.get('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.headers.get('CSeq')}",
            f"Contact: {contact}",
            *headers,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        self.say(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), way, script)

    def _of_status(self, status, request, script) -> list[str]:
        if status in {401, 407}:
            name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
            return [f"{name}: {script.pick(CHALLENGES)}"]
        if status == 422:
            return ["Min-SE: " + script.pick(("120", "4000", "90", "x"))]
        if status in {500, 503}:
            return [f"Retry-After: {script.pick(('1', '0', '7', 'x'))}"]
        if 100 < status < 200 and request.method == "INVITE" and script.byte() % 2:
            return ["Require: 100rel", f"RSeq: {script.byte() % 4 + self.count}"]
        return []

    def _be_called(self, request, to, way) -> None:
        key = (request.call_id, tag_of(to), request.from_tag)
        if key not in self.lines:
            target = request.contact.uri if request.contact else f"sip:nets@{HERE}"
            self._keep(key, Line(request.call_id, to, request.headers.get("From"), str(target), 0, way=way))


def _contact(way) -> str:
    if isinstance(way, Stream):
        return f"<sip:p@{way.remote};transport=tcp>"
    return f"<sip:p@{way}>"


def tag_of(address: str) -> str:
    return address.rpartition(";tag=")[2]


def readable(data: bytes):
    """The message, if it is one."""
    try:
        return message_untrusted(data)
    except MessageError as error:
        return error.request


__all__ = ["CALLED", "CARRIER", "PLACES", "SECOND", "Parties", "readable"]
