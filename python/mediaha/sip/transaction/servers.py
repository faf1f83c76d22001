"""The server transactions: requests are matched to them (section 17.2.3), and new ones become events."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

from mediaha.model.address import Address
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import Via
from mediaha.sip.message import MessageError, Request, Response
from mediaha.sip.target import TCP, UDP, Target
from mediaha.sip.transaction.events import Cancelled, Incoming, ServerKey
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.remembered import Remembered
from mediaha.sip.transaction.schedule import Schedule
from mediaha.sip.transaction.server_invite import DialogKey, ServerInvite
from mediaha.sip.transaction.server_noninvite import ServerNonInvite
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.uri import DEFAULT_PORT

ServerTransaction = ServerInvite | ServerNonInvite

MergeKey = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many transactions may be open at a time, each way, and how large a request over UDP may be.

    Requests that start something are refused with 503 before those inside a dialog are, so that a flood does not keep
    calls from ending.
    """

    transactions_max: int = 100_000
    datagram_bytes_max: int = 1300
    """Larger requests go over TCP where we listen for it (section 18.1.1)."""
    initial_share: float = 0.9
    """The share of the server transactions at which requests outside a dialog are refused."""
    retry_after_s: int = 5
    """What a 503 tells the client."""
    remembered_max: int = 10_000
    """INVITEs that had it for want of room, and get it again."""


class Servers:
    """All server transactions of one endpoint."""

    __slots__ = (
        "_awaiting_ack",
        "_counters",
        "_limits",
        "_merging",
        "_out",
        "_refused",
        "_reliable",
        "_schedule",
        "_table",
        "_timers",
    )

    def __init__(self, timers: Timers, limits: Limits, out: Outbox, counters: Counters) -> None:
        self._timers = timers
        self._reliable = replace(timers, reliable=True)
        self._limits = limits
        self._out = out
        self._counters = counters
        self._table: dict[ServerKey, ServerTransaction] = {}
        self._awaiting_ack: dict[DialogKey, ServerInvite] = {}
        self._merging: dict[MergeKey, ServerKey] = {}
        self._schedule: Schedule[ServerTransaction] = Schedule()
        self._refused = Remembered(limits.remembered_max, timers.transaction)

    def __len__(self) -> int:
        return len(self._table)

    def request(self, request: Request, flow: Target, now: float, *, accepting: bool) -> None:
        """A request from the network. When not ``accepting``, new ones are refused: their queue is full."""
        via = request.via
        key = server_key(request, via)
        transaction = self._table.get(key)
        if request.method == "ACK":
            self._ack(request, transaction, flow.address, now)
        elif transaction is not None:
            transaction.repeated(self._out)
        elif request.method == "CANCEL":
            self._cancel(request, key, flow, now)
        elif not accepting or len(self._table) >= self._room(request) or self._refused.has(key, now):
            if request.method == "INVITE":
                self._refused.add(key, now)
            self._counters.refused_full += 1
            retry = [("Retry-After", str(self._limits.retry_after_s))]
            self.refuse(MessageError(503, "Service Unavailable", request), flow, retry)
        else:
            self._new(request, key, flow, now)

    def respond(self, key: ServerKey, response: Response, now: float) -> None:
        """The user's answer. To a transaction that is over it is dropped and counted."""
        transaction = self._table.get(key)
        if transaction is None:
            self._counters.late_responses += 1
            return
        transaction.respond(response, self._out, now)
        if response.status >= 300 and transaction.index is not None:
            # What was refused is not under way any more: a proxy may try again, with another branch.
            self._merging.pop(transaction.index, None)
        if isinstance(transaction, ServerInvite) and transaction.dialog is not None:
            self._awaiting_ack[transaction.dialog] = transaction
        self._settle(transaction)

    def respond_once(self, key: ServerKey, response: Response, now: float) -> None:
        """The user's answer to somebody who is not worth more, as he may be somebody else (section 8.2.7).

        It is sent once for each time that the request comes, and nothing is remembered: otherwise whoever writes
        another's address into a request would have us send him the refusal ten times.
        """
        transaction = self._table.get(key)
        self.respond(key, response, now)
        if transaction is not None:
            transaction.forget()
            self._settle(transaction)

    def refuse(self, error: MessageError, flow: Target, headers: list[tuple[str, str]] | None = None) -> None:
        """Answer without a transaction (section 8.2.7): one response per request, and nothing is remembered."""
        request = error.request
        if request is None or request.method == "ACK":
            return
        response = stateless_response(request, error.status, error.reason, flow.address, headers or [])
        self._out.datagrams.append((response.to_bytes(), response_target(request.via, flow)))

    def tick(self, now: float) -> None:
        """Run the timers that have come."""
        for transaction in self._schedule.due(now):
            transaction.wake(self._out, now)
            self._settle(transaction)

    def wake_at(self) -> float:
        """When `tick` is wanted next."""
        return self._schedule.wake_at()

    def _new(self, request: Request, key: ServerKey, flow: Target, now: float) -> None:
        merge: MergeKey | None = None
        if not request.to_tag:
            merge = (request.call_id, request.from_tag, request.cseq.number, request.method)
            if merge in self._merging:
                self._refuse_merged(request, key, flow, now)
                return
            self._merging[merge] = key
        request = request.arrived_from(flow.address.host, flow.address.port)
        transaction = self._begin(request, key, flow, now)
        transaction.index = merge
        self._schedule.note(transaction)
        self._out.server_events.append(Incoming(request, key, flow.address, flow))

    def _begin(self, request: Request, key: ServerKey, flow: Target, now: float) -> ServerTransaction:
        kind = ServerInvite if request.method == "INVITE" else ServerNonInvite
        timers = self._timers if flow.transport == UDP else self._reliable
        target = response_target(request.via, flow)
        transaction = kind(key, request, target, now, timers=timers, counters=self._counters)
        self._table[key] = transaction
        return transaction

    def _refuse_merged(self, request: Request, key: ServerKey, flow: Target, now: float) -> None:
        """The same request over another path: the first one is being served (section 8.2.2.2).

        That is remembered, as any other answer. An INVITE whose 482 was lost comes again, when the first one may be
        over: taken then, it would ring somebody a second time.
        """
        self._counters.merged += 1
        transaction = self._begin(request, key, flow, now)
        transaction.respond(stateless_response(request, 482, "Loop Detected", flow.address, []), self._out, now)
        self._settle(transaction)

    def _ack(self, ack: Request, transaction: ServerTransaction | None, source: Address, now: float) -> None:
        if not isinstance(transaction, ServerInvite):
            # The ACK of a 2xx is a transaction of its own, found by its dialog (section 13.3.1.4).
            dialog = (ack.call_id, ack.from_tag, ack.to_tag, ack.cseq.number)
            transaction = self._awaiting_ack.get(dialog)
        if transaction is None:
            self._counters.stray_acks += 1
            return
        transaction.acknowledged(ack, source, self._out, now)
        self._settle(transaction)

    def _cancel(self, cancel: Request, key: ServerKey, flow: Target, now: float) -> None:
        """Answer a CANCEL, and pass it on when there is still something to cancel (section 9.2)."""
        invite = self._table.get(ServerKey(key.branch, key.sent_by, "INVITE"))
        if not isinstance(invite, ServerInvite):
            self._counters.stray_cancels += 1
            self.refuse(MessageError(481, "Call/Transaction Does Not Exist", cancel), flow)
            return
        source = flow.address
        cancel = cancel.arrived_from(source.host, source.port)
        # Made here and not by the user: whatever happens to the INVITE, the CANCEL itself is answered 200.
        timers = self._timers if flow.transport == UDP else self._reliable
        transaction = ServerNonInvite(
            key, cancel, response_target(cancel.via, flow), now, timers=timers, counters=self._counters
        )
        self._table[key] = transaction
        transaction.respond(cancel.response(200, to_tag=invite.local_tag or _tag(cancel)), self._out, now)
        self._settle(transaction)
        if invite.cancellable:
            self._out.server_events.append(Cancelled(cancel, invite.key, source))

    def _settle(self, transaction: ServerTransaction) -> None:
        if not transaction.finished:
            self._schedule.note(transaction)
            return
        self._table.pop(transaction.key, None)
        if transaction.index is not None and self._merging.get(transaction.index) == transaction.key:
            del self._merging[transaction.index]
        if isinstance(transaction, ServerInvite) and transaction.dialog is not None:
            self._awaiting_ack.pop(transaction.dialog, None)

    def _room(self, request: Request) -> int:
        limit = self._limits.transactions_max
        return limit if request.to_tag else int(limit * self._limits.initial_share)


def server_key(request: Request, via: Via) -> ServerKey:
    """What names the request's transaction. An ACK has its INVITE's name."""
    method = "INVITE" if request.method == "ACK" else request.method
    if via.unique and via.branch is not None:
        return ServerKey(via.branch, via.sent_by, method)
    # An RFC 2543 peer: the fields that its ACK and CANCEL share with its INVITE.
    branch = f"{request.uri} {request.from_tag} {request.call_id} {request.cseq.number} {via.text}"
    return ServerKey(branch, via.sent_by, method)


def response_target(via: Via, flow: Target) -> Target:
    """Where responses go (section 18.2.2, RFC 3581).

    Over a stream, the connection that the request came on. Always the host that it came from: a ``maddr`` is not
    followed, or anyone could have us send our responses to a third party.
    """
    if flow.connection or via.rport is not None:
        return flow
    port = DEFAULT_PORT if via.port is None else via.port
    return Target(flow.transport, Address(flow.address.host, port), "", flow.listener)


def second_target(response: Response, flow: Target) -> Target | None:
    """Where a response goes whose connection is gone: to where its sender listens (section 18.2.2).

    Not over TLS: who listens there could not be known for the one who sent the request.
    """
    if flow.transport != TCP or not flow.connection:
        return None
    port = DEFAULT_PORT if response.via.port is None else response.via.port
    return Target(TCP, Address(flow.address.host, port), "", flow.listener)


def stateless_response(
    request: Request, status: int, reason: str, source: Address, headers: list[tuple[str, str]]
) -> Response:
    """A response whose To tag is the same for every repetition of the request (section 8.2.7)."""
    request = request.arrived_from(source.host, source.port)
    try:
        return request.response(status, reason, to_tag=_tag(request), headers=headers)
    except Malformed:  # its To is what is wrong with it: copied as it is
        return request.response(status, reason, headers=headers)


def _tag(request: Request) -> str:
    return f"{zlib.crc32(request.via.text.encode()):08x}"
