"""What goes over the wire, either way, and what must hold of it."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict

from mediaha.model.address import Address
from mediaha.sip.errors import Malformed
from mediaha.sip.message import MessageError, Request, Response
from mediaha.sip.reading import message_untrusted
from tests.fuzz.parties import readable
from tests.fuzz.stage import STRANGER
from tests.fuzz.wire import Stream

PASSED_ON = frozenset({"INFO", "MESSAGE", "UPDATE", "PRACK"})
"""What the other party answers. If it does not, nobody waits any more when that is known (RFC 4320)."""
GROWS = 700
"""Bytes that a refusal may be longer than what it refuses: Allow, a challenge, Retry-After."""


class Checks:
    """Watches the wire."""

    def __init__(self, stage) -> None:
        self.stage = stage
        self.ladder: list[str] = []
        self.requests: Counter = Counter()
        """What NeTS was asked, by transaction."""
        self.finals: dict = defaultdict(set)
        """What it has answered finally."""
        self.cseqs: dict = {}
        """What NeTS has asked in each dialog: methods by their numbers."""
        self.branches: set[str] = set()
        self.waiting: set = set()
        """Requests of parties that must have a final response some day."""
        self.standing: set = set()
        """Dialogs in which somebody believes that he is in a call."""
        self.over: set = set()
        self.to_stranger = self.from_stranger = 0
        self.bytes_to_stranger = self.bytes_from_stranger = 0
        self.named = False
        """Whether somebody who is known has said that he is where the stranger is."""
        self.odd_requests = 0
        """Those of which it is not known which transaction they are."""
        self.other_than_ack = False
        """Whether something that is no ACK called itself one in its CSeq."""

    def said(self, data: bytes, way, proper: bool) -> None:
        """A party sends this to NeTS, as it meant to if ``proper``; in a stream it may be no message, or several."""
        self._note("──▶", data, way)
        message = readable(data) if proper else None
        if isinstance(message, Response):
            if isinstance(way, Address):
                self._responded(message)
        elif message is not None and message.method != "ACK":
            if isinstance(way, Address) and message.method not in PASSED_ON:
                self._waits(message)
            if message.method == "BYE":
                self._is_over(message)  # whatever comes of it, that party has left
        if _is_stranger(way):
            self.from_stranger += 1
            self.bytes_from_stranger += len(data)
        self.named |= not _is_stranger(way) and STRANGER.host.encode() in data

    def took(self, data: bytes) -> None:
        """This is a message to NeTS, or the head of one."""
        message = readable(data)
        if isinstance(message, Request) and message.method != "ACK":
            self.other_than_ack |= b"ACK" in data
            try:
                self.requests[_transaction(message)] += 1
            except Malformed:
                self.odd_requests += 1

    def heard(self, data: bytes, way):
        """NeTS sends this to a party; the message, if one can be read."""
        self._note("◀──", data, way)
        if _is_stranger(way) and not self.named:
            self.to_stranger += 1
            self.bytes_to_stranger += len(data)
            assert self.to_stranger <= self.from_stranger, "a stranger gets more than he has sent"
            limit = self.bytes_from_stranger + GROWS * self.from_stranger
            assert self.bytes_to_stranger <= limit, "a stranger's messages are amplified"
        try:
            message = message_untrusted(data)
        except MessageError:
            assert data.startswith(b"SIP/2.0 "), f"nobody can read what we ask: {data!r}"
            return None
        if isinstance(message, Request):
            self._asked(message)
        else:
            self._answered(message, data, way)
        return message

    def _responded(self, response) -> None:
        """A party's response, to which it holds."""
        if not self.stage.awaits(response):
            return
        if response.cseq.method == "INVITE" and 200 <= response.status < 300:
            if _leads_somewhere(response):
                self._begins(response)
            else:
                self._is_over(response)  # whatever is said after that is taken for its repetition
        elif response.to_tag and response.status in {408, 481}:
            self._is_over(response)  # it knows of no such dialog any more (section 12.2.1.2)

    def _waits(self, request) -> None:
        with contextlib.suppress(Malformed):
            self.waiting.add(_transaction(request))

    def _begins(self, message) -> None:
        dialog = _dialog(message)
        if dialog not in self.over:
            self.standing.add(dialog)

    def _is_over(self, message) -> None:
        dialog = _dialog(message)
        self.over.add(dialog)
        self.standing.discard(dialog)

    def _answered(self, response, data: bytes, way) -> None:
        assert response.cseq.method != "ACK" or self.other_than_ack, "an ACK is answered"
        # Over a connection that is gone meanwhile nobody can be told that it is over.
        if response.cseq.method == "INVITE" and 200 <= response.status < 300 and isinstance(way, Address):
            self._begins(response)
        if response.cseq.method == "BYE" and response.status in {200, 481}:
            self._is_over(response)
        if response.status >= 200:
            key = _transaction(response)
            self.finals[key].add(data)
            self.waiting.discard(key)
            asked = self.requests[key] + self.odd_requests
            assert len(self.finals[key]) <= max(1, asked), f"two final responses to one request {key}"

    def _asked(self, request) -> None:
        branch = request.via.branch
        assert branch, "a request of ours has no branch"
        if request.method == "BYE":
            self._is_over(request)
        if request.method in {"ACK", "CANCEL"} or branch in self.branches:
            return
        self.branches.add(branch)
        if not request.to_tag:
            return
        # By another way, when the first is found to lead nowhere, it is the same request once more.
        dialog = (request.call_id, request.from_tag, request.to_tag)
        number, method = request.cseq.number, request.method
        before = self.cseqs.setdefault(dialog, {})
        assert number > max(before, default=0) or before.get(number) == method, (
            f"{number} {method} after {before} in {dialog}"
        )
        before[number] = method

    def _note(self, arrow, data: bytes, way) -> None:
        at = way.remote if isinstance(way, Stream) else way
        kind = "tcp" if isinstance(way, Stream) else "udp"
        self.ladder.append(f"{self.stage.clock.current_time():9.3f} {at}/{kind} {arrow} {_brief(data)}")


def _transaction(message) -> tuple[str, str, str]:
    via = message.via
    return (via.branch or via.text, via.sent_by, message.cseq.method)


def _leads_somewhere(response) -> bool:
    """Whether its dialog can be acknowledged and ended at all."""
    try:
        return response.contact is not None and response.contact.parsed_uri().scheme == "sip"
    except Malformed:
        return False


def _dialog(message) -> tuple:
    return (message.call_id, frozenset((message.from_tag, message.to_tag)))


def _is_stranger(way) -> bool:
    """Somebody whose address may be another's: over a connection he would not be heard."""
    return isinstance(way, Address) and way.host == STRANGER.host


def _brief(data: bytes) -> str:
    line, _, rest = data.partition(b"\r\n")
    found = [one for one in rest.split(b"\r\n") if one[:5].lower() in {b"cseq:", b"call-"}]
    return b" | ".join([line[:70], *found[:2]]).decode("latin-1")
