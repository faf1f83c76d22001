"""The client transactions: started by the user, fed with responses that match (section 17.1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.sip.fields import MAGIC_COOKIE
from mediaha.sip.message import Request, Response
from mediaha.sip.transaction.client_invite import ClientInvite, cancel_of
from mediaha.sip.transaction.client_noninvite import ClientNonInvite
from mediaha.sip.transaction.events import ClientEvent, ClientKey, OnClientEvent, Unreachable
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.schedule import Schedule
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.uri import DEFAULT_PORT

DATAGRAM_MAX = 65_507

ClientTransaction = ClientInvite | ClientNonInvite


class TransactionsFull(MediahaError):
    """There are as many client transactions as the limit allows: answer 503, or try again in some seconds."""


class Clients:
    """All client transactions of one transport."""

    __slots__ = ("_counters", "_max", "_out", "_place", "_schedule", "_table", "_timers", "_token", "_unheard", "_via")

    def __init__(
        self,
        transport: str,
        sent_by: Address,
        *,
        timers: Timers,
        token: Callable[[], str],
        transactions_max: int,
        out: Outbox,
        counters: Counters,
    ) -> None:
        """``sent_by`` is where responses find us; ``token`` gives unguessable text for branches."""
        self._via = f"SIP/2.0/{transport} {sent_by};rport;branch={MAGIC_COOKIE}"
        self._place = (sent_by.host.lower(), sent_by.port)
        self._timers = timers
        self._token = token
        self._max = transactions_max
        self._out = out
        self._counters = counters
        self._table: dict[ClientKey, ClientTransaction] = {}
        self._schedule: Schedule[ClientTransaction] = Schedule()
        self._unheard: dict[Address, dict[ClientKey, None]] = {}

    def __len__(self) -> int:
        return len(self._table)

    def send(self, request: Request, target: Address, on: OnClientEvent, now: float) -> ClientKey:
        """Start a transaction. Raises TransactionsFull."""
        if len(self._table) >= self._max:
            raise TransactionsFull(f"{self._max} requests are under way already")
        if request.method in {"ACK", "CANCEL"}:
            raise ValueError(f"{request.method} has its own method here")
        branch = self._token()
        request = request.with_headers(request.headers.with_first("Via", self._via + branch))
        key = ClientKey(MAGIC_COOKIE + branch, request.method)
        datagram = request.to_bytes()
        if len(datagram) > DATAGRAM_MAX:
            self._counters.unreachable += 1
            self._out.client_events.append((on, Unreachable("the request is larger than a datagram")))
            return key
        if request.method == "INVITE":
            invite = ClientInvite(key, request, target, on, timers=self._timers, counters=self._counters)
            invite.start(datagram, self._out, now)
            self._enter(invite)
        else:
            self._send(key, datagram, target, on, now)
        return key

    def send_ack(self, ack: Request, target: Address, invite: ClientKey) -> None:
        """Send the ACK of a 2xx, with a branch of its own, and leave it with the INVITE for repetition."""
        via = self._via + self._token()
        datagram = ack.with_headers(ack.headers.with_first("Via", via)).to_bytes()
        self._out.datagrams.append((datagram, target))
        transaction = self._table.get(invite)
        if isinstance(transaction, ClientInvite):
            transaction.acknowledge(ack.to_tag, datagram, target)

    def cancel(self, invite: ClientKey, headers: Iterable[tuple[str, str]], now: float) -> None:
        """Cancel an INVITE now or at its first provisional response. An INVITE that is over is left alone."""
        transaction = self._table.get(invite)
        if isinstance(transaction, ClientInvite):
            if transaction.cancel(headers, now):
                self._send_cancel(transaction, now)
            self._schedule.note(transaction)

    def response(self, response: Response, now: float) -> None:
        """A response from the network. One that matches nothing is dropped (section 18.1.2)."""
        via = response.via
        transaction = self._table.get(ClientKey(via.branch or "", response.cseq.method))
        # A response with a second Via was misrouted (section 8.1.3.3).
        if (
            transaction is None
            or len(response.headers.all("Via")) > 1
            or (via.host, via.port or DEFAULT_PORT) != self._place
        ):
            self._counters.stray_responses += 1
            return
        if transaction.unheard:
            self._heard(transaction)
        if transaction.response(response, self._out, now) and isinstance(transaction, ClientInvite):
            self._send_cancel(transaction, now)
        self._settle(transaction)

    def unreachable(self, target: Address, why: str) -> None:
        """The transport reports that nobody listens at ``target``: fails all that have heard nothing from it."""
        for key in list(self._unheard.pop(target, ())):
            transaction = self._table[key]
            transaction.unreachable(why, self._out)
            self._settle(transaction)

    def tick(self, now: float) -> None:
        """Run the timers that have come."""
        for transaction in self._schedule.due(now):
            transaction.wake(self._out, now)
            self._settle(transaction)

    def wake_at(self) -> float:
        """When `tick` is wanted next."""
        return self._schedule.wake_at()

    def _send(self, key: ClientKey, datagram: bytes, target: Address, on: OnClientEvent, now: float) -> None:
        transaction = ClientNonInvite(key, datagram, target, on, timers=self._timers, counters=self._counters)
        transaction.start(self._out, now)
        self._enter(transaction)

    def _send_cancel(self, invite: ClientInvite, now: float) -> None:
        # A transaction of its own with the INVITE's branch (section 9.1); what it is answered changes nothing.
        request = cancel_of(invite.request, invite.cancel_headers)
        key = ClientKey(invite.key.branch, "CANCEL")
        self._send(key, request.to_bytes(), invite.target, _ignore, now)

    def _enter(self, transaction: ClientTransaction) -> None:
        self._table[transaction.key] = transaction
        self._unheard.setdefault(transaction.target, {})[transaction.key] = None
        self._schedule.note(transaction)

    def _heard(self, transaction: ClientTransaction) -> None:
        keys = self._unheard.get(transaction.target)
        if keys is not None:
            keys.pop(transaction.key, None)
            if not keys:
                del self._unheard[transaction.target]

    def _settle(self, transaction: ClientTransaction) -> None:
        if transaction.finished:
            self._heard(transaction)
            self._table.pop(transaction.key, None)
        else:
            self._schedule.note(transaction)


def _ignore(event: ClientEvent) -> None:
    pass
