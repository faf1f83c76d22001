"""The client transactions: started by the user, fed with responses that match (section 17.1.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.sip.fields import MAGIC_COOKIE
from mediaha.sip.message import Request, Response
from mediaha.sip.target import UDP, Target
from mediaha.sip.transaction.client_invite import ClientInvite, cancel_of
from mediaha.sip.transaction.client_noninvite import ClientNonInvite
from mediaha.sip.transaction.events import ClientEvent, ClientKey, OnClientEvent, Unreachable
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.schedule import Schedule
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transaction.ways import Way, Ways

DATAGRAM_MAX = 65_507
NARROW_MAX = 1024
"""Addresses remembered as not taking large requests over TCP; the oldest is forgotten first."""
NARROW_S = 300.0
"""How long such an address is remembered."""

ClientTransaction = ClientInvite | ClientNonInvite


class TransactionsFull(MediahaError):
    """There are as many client transactions as the limit allows: answer 503, or try again in some seconds."""


class Widened(NamedTuple):
    """A request that went over TCP for its size alone; ``narrow`` is how it would have gone (section 18.1.1)."""

    request: Request
    narrow: Way


class Clients:
    """All client transactions of one endpoint."""

    __slots__ = (
        "_counters",
        "_max",
        "_narrow",
        "_out",
        "_reliable",
        "_schedule",
        "_table",
        "_timers",
        "_token",
        "_unheard",
        "_ways",
        "_wide_from",
        "_widened",
    )

    def __init__(
        self,
        ways: Ways,
        *,
        timers: Timers,
        token: Callable[[], str],
        transactions_max: int,
        datagram_bytes_max: int,
        out: Outbox,
        counters: Counters,
    ) -> None:
        """``token`` gives unguessable text for branches. Larger requests than ``datagram_bytes_max`` go over TCP."""
        self._ways = ways
        self._timers = timers
        self._reliable = replace(timers, reliable=True)
        self._token = token
        self._max = transactions_max
        self._wide_from = datagram_bytes_max + 1
        self._out = out
        self._counters = counters
        self._table: dict[ClientKey, ClientTransaction] = {}
        self._schedule: Schedule[ClientTransaction] = Schedule()
        self._unheard: dict[Address, dict[ClientKey, None]] = {}
        self._widened: dict[ClientKey, Widened] = {}
        self._narrow: dict[Address, float] = {}
        """Addresses that refused TCP, and until when that is believed."""

    def __len__(self) -> int:
        return len(self._table)

    def send(
        self, request: Request, target: Target | Address, on: OnClientEvent, now: float, *, widens: bool = True
    ) -> ClientKey:
        """Start a transaction. ``widens``: by TCP when it is too large for a datagram. Raises TransactionsFull."""
        if len(self._table) >= self._max:
            raise TransactionsFull(f"{self._max} requests are under way already")
        if request.method in {"ACK", "CANCEL"}:
            raise ValueError(f"{request.method} has its own method here")
        branch = self._token()
        key = ClientKey(MAGIC_COOKIE + branch, request.method)
        way = self._ways.to(target)
        if way is None:
            self._fail(on, f"no listener of ours reaches {target}")
            return key
        sent = request.with_headers(request.headers.with_first("Via", way.via + branch))
        datagram = sent.to_bytes()
        if len(datagram) >= self._wide_from and way.target.transport == UDP:
            wide = self._wider(way, now) if widens else None
            if wide is not None:
                self._widened[key] = Widened(sent, way)
                way = wide
                sent = request.with_headers(request.headers.with_first("Via", way.via + branch))
                datagram = sent.to_bytes()
            elif len(datagram) > DATAGRAM_MAX:
                self._fail(on, "the request is larger than a datagram")
                return key
        if request.method == "INVITE":
            invite = ClientInvite(
                key, sent, way.target, on, timers=self._timers_of(way.target), counters=self._counters
            )
            invite.start(datagram, self._out, now)
            self._enter(invite)
        else:
            self._send(key, datagram, way.target, on, now)
        return key

    def send_ack(self, ack: Request, target: Target | Address, invite: ClientKey) -> None:
        """Send the ACK of a 2xx, with a branch of its own, and leave it with the INVITE for repetition."""
        way = self._ways.to(target)
        transaction = self._table.get(invite)
        if way is not None and transaction is not None and invite in self._widened:
            # The INVITE was too large for a datagram and was taken over TCP; its ACK may be so too.
            way = self._ways.wider(way) or way
        if way is None:
            self._counters.unreachable += 1
            return
        via = way.via + self._token()
        datagram = ack.with_headers(ack.headers.with_first("Via", via)).to_bytes()
        self._out.datagrams.append((datagram, way.target))
        if isinstance(transaction, ClientInvite):
            transaction.acknowledge(ack.to_tag, datagram, way.target)

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
        if transaction is None or len(response.headers.all("Via")) > 1 or not self._ways.ours(via):
            self._counters.stray_responses += 1
            return
        if transaction.unheard:
            self._heard(transaction)
        if transaction.response(response, self._out, now) and isinstance(transaction, ClientInvite):
            self._send_cancel(transaction, now)
        self._settle(transaction)

    def unreachable(self, flow: Target, why: str, now: float) -> None:
        """The transport reports that this way leads nowhere: fails all on it that have heard nothing yet.

        Those that took TCP for their size alone are sent again as datagrams.
        """
        for key in list(self._unheard.get(flow.address, ())):
            transaction = self._table[key]
            if not transaction.target.leads_over(flow):
                continue
            self._heard(transaction)
            widened = self._widened.pop(key, None)
            if widened is not None and len(datagram := widened.request.to_bytes()) <= DATAGRAM_MAX:
                self._remember_narrow(flow.address, now)
                self._restart(transaction, widened, datagram, now)
                continue
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

    def _send(self, key: ClientKey, datagram: bytes, target: Target, on: OnClientEvent, now: float) -> None:
        timers = self._timers_of(target)
        transaction = ClientNonInvite(key, datagram, target, on, timers=timers, counters=self._counters)
        transaction.start(self._out, now)
        self._enter(transaction)

    def _send_cancel(self, invite: ClientInvite, now: float) -> None:
        # A transaction of its own with the INVITE's branch (section 9.1); what it is answered changes nothing.
        request = cancel_of(invite.request, invite.cancel_headers)
        key = ClientKey(invite.key.branch, "CANCEL")
        self._send(key, request.to_bytes(), invite.target, _ignore, now)

    def _fail(self, on: OnClientEvent, why: str) -> None:
        self._counters.unreachable += 1
        self._out.client_events.append((on, Unreachable(why)))

    def _timers_of(self, target: Target) -> Timers:
        return self._timers if target.transport == UDP else self._reliable

    # Requests that are too large for a datagram (section 18.1.1)

    def _wider(self, way: Way, now: float) -> Way | None:
        if self._narrow and self._narrow.get(way.target.address, now) > now:
            return None
        return self._ways.wider(way)

    def _remember_narrow(self, address: Address, now: float) -> None:
        self._narrow.pop(address, None)
        while len(self._narrow) >= NARROW_MAX:
            del self._narrow[next(iter(self._narrow))]
        self._narrow[address] = now + NARROW_S

    def _restart(self, transaction: ClientTransaction, widened: Widened, datagram: bytes, now: float) -> None:
        """Nobody took it over TCP: from the beginning over UDP, under the same name."""
        target = widened.narrow.target
        if isinstance(transaction, ClientInvite):
            transaction.request = widened.request
        transaction.target = target
        transaction.restart(datagram, self._timers, self._out, now)
        self._enter(transaction)

    # The tables

    def _enter(self, transaction: ClientTransaction) -> None:
        self._table[transaction.key] = transaction
        self._unheard.setdefault(transaction.target.address, {})[transaction.key] = None
        self._schedule.note(transaction)

    def _heard(self, transaction: ClientTransaction) -> None:
        address = transaction.target.address
        keys = self._unheard.get(address)
        if keys is not None:
            keys.pop(transaction.key, None)
            if not keys:
                del self._unheard[address]

    def _settle(self, transaction: ClientTransaction) -> None:
        if transaction.finished:
            self._heard(transaction)
            if self._widened:
                self._widened.pop(transaction.key, None)
            self._table.pop(transaction.key, None)
        else:
            self._schedule.note(transaction)


def _ignore(event: ClientEvent) -> None:
    pass
