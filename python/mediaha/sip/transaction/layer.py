"""The transaction layer: datagrams in, datagrams and events out. Decides; `mediaha.sip.endpoint` does.

    receive(datagram, source, now) ─▶ Servers or Clients ─▶ a machine ─▶ Outbox
    respond / send / send_ack / cancel ─▶ ─────────────────────┘
    tick(now), at wake_at() ─▶ the machines whose timers have come ─▶ Outbox

After every call the caller empties the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mediaha.model.address import Address
from mediaha.sip.message import MessageError, Request, Response
from mediaha.sip.reading import message_untrusted
from mediaha.sip.target import Place, Target
from mediaha.sip.transaction.clients import Clients
from mediaha.sip.transaction.events import ClientEvent, ClientKey, OnClientEvent, ServerEvent, ServerKey
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.servers import Limits, Servers, second_target
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transaction.ways import Ways

KEEPALIVE_MAX = 4
RESPONSE = b"SIP/2.0 "


class Layer:
    """The transactions of one endpoint, over all its transports.

    ``now`` is seconds of any clock that never goes back.
    """

    __slots__ = ("_clients", "_out", "_servers", "counters")

    def __init__(
        self,
        places: Iterable[Place],
        token: Callable[[], str],
        timers: Timers | None = None,
        limits: Limits | None = None,
    ) -> None:
        """``places`` are our listeners, the preferred first; ``token`` gives fresh unguessable text (a token of the
        grammar).
        """
        timers = timers or Timers()
        limits = limits or Limits()
        self.counters = Counters()
        self._out = Outbox()
        self._servers = Servers(timers, limits, self._out, self.counters)
        self._clients = Clients(
            Ways(places),
            timers=timers,
            token=token,
            transactions_max=limits.transactions_max,
            datagram_bytes_max=limits.datagram_bytes_max,
            out=self._out,
            counters=self.counters,
        )

    @property
    def transactions(self) -> int:
        """How many there are now, of both roles."""
        return len(self._clients) + len(self._servers)

    def receive(self, data: bytes, flow: Target, now: float, *, accepting: bool = True) -> None:
        """A datagram, or one message of a stream, has arrived. Not ``accepting`` refuses requests that are new (503).

        ``flow`` is the way back: its listener is the one that received, its address the sender's.
        """
        self.counters.received += 1
        if len(data) <= KEEPALIVE_MAX:  # empty lines or zero bytes that keep a NAT binding open (RFC 5626)
            self.counters.keepalives += 1
            return
        try:
            message = message_untrusted(data)
        except MessageError as error:
            self.counters.malformed += 1
            self._servers.refuse(error, flow)
            return
        if isinstance(message, Request):
            self._servers.request(message, flow, now, accepting=accepting)
        else:
            self._clients.response(message, now)

    def cut_short(self, head: bytes, status: int, reason: str, flow: Target) -> None:
        """A stream had to be given up in a message of which this is the head: say why, when it is a request."""
        self.counters.received += 1
        self.counters.malformed += 1
        try:
            message = message_untrusted(head)
        except MessageError as error:
            # The head states a Content-Length for a body that is not there, or has a fault of its own.
            request = error.request
        else:
            request = message if isinstance(message, Request) else None
        self._servers.refuse(MessageError(status, reason, request), flow)

    def respond(self, transaction: ServerKey, response: Response, now: float) -> None:
        """Answer a request."""
        self._servers.respond(transaction, response, now)

    def respond_once(self, transaction: ServerKey, response: Response, now: float) -> None:
        """Answer a stranger's request: never again by itself, and nothing is remembered of it."""
        self._servers.respond_once(transaction, response, now)

    def send(
        self, request: Request, target: Target | Address, on: OnClientEvent, now: float, *, widens: bool = True
    ) -> ClientKey:
        """Start a client transaction; the request has no Via yet. Raises TransactionsFull."""
        return self._clients.send(request, target, on, now, widens=widens)

    def send_ack(self, ack: Request, target: Target | Address, invite: ClientKey) -> None:
        """Acknowledge a 2xx."""
        self._clients.send_ack(ack, target, invite)

    def cancel(self, invite: ClientKey, headers: Iterable[tuple[str, str]], now: float) -> None:
        """Cancel an INVITE of ours."""
        self._clients.cancel(invite, headers, now)

    def unreachable(self, flow: Target, why: str, now: float) -> None:
        """The transport reports that nothing gets through on this way (any more)."""
        self._clients.unreachable(flow, why, now)

    def undelivered(self, message: bytes, target: Target, why: str, now: float) -> None:
        """The transport could not take this message of ours. A response may have a second place to go to."""
        if not message.startswith(RESPONSE):
            self._clients.unreachable(target, why, now)
            return
        try:
            response = message_untrusted(message)
        except MessageError:  # it repeats what its request had of many headers, say
            response = None
        second = second_target(response, target) if isinstance(response, Response) else None
        if second is None:
            self.counters.unreachable += 1
        else:
            self._out.datagrams.append((message, second))

    def tick(self, now: float) -> None:
        """Run the timers that have come."""
        self._clients.tick(now)
        self._servers.tick(now)

    def wake_at(self) -> float:
        """When `tick` is wanted next; infinity when nothing is under way."""
        return min(self._clients.wake_at(), self._servers.wake_at())

    def outbox(self) -> list[tuple[bytes, Target]]:
        """Take the datagrams to be sent, in order."""
        datagrams = self._out.datagrams
        if datagrams:
            self._out.datagrams = []
        return datagrams

    def server_events(self) -> list[ServerEvent]:
        """Take what happened to requests of others."""
        events = self._out.server_events
        if events:
            self._out.server_events = []
        return events

    def client_events(self) -> list[tuple[OnClientEvent, ClientEvent]]:
        """Take what happened to requests of ours, each with the function to call."""
        events = self._out.client_events
        if events:
            self._out.client_events = []
        return events

    def has_events(self) -> bool:
        """Whether events wait to be taken."""
        return bool(self._out.server_events or self._out.client_events)

    @property
    def open_clients(self) -> int:
        """Client transactions in the table."""
        return len(self._clients)

    @property
    def open_servers(self) -> int:
        """Server transactions in the table."""
        return len(self._servers)
