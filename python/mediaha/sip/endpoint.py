"""The endpoint: transactions over one transport, on trio. It does; `mediaha.sip.transaction.layer` decides."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from math import inf

import structlog
import trio

from mediaha.model.address import Address
from mediaha.sip.message import Request, Response
from mediaha.sip.transaction.events import ClientKey, OnClientEvent, ServerEvent, ServerKey
from mediaha.sip.transaction.layer import Layer
from mediaha.sip.transaction.outbox import Counters
from mediaha.sip.transaction.servers import Limits
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transport import Transport
from mediaha.sip.udp import UdpTransport

REQUESTS_MAX = 1024
"""Requests that may wait for the user before new ones are refused."""
TIMER_SLACK_S = 0.005
"""Timers that come this close together share one wake-up."""
WILDCARDS = frozenset({"0.0.0.0", "::"})

_log = structlog.get_logger(__name__)


class Endpoint:
    """Sends and receives SIP at one address. Every method but ``requests.receive`` returns at once."""

    def __init__(self, transport: Transport, layer: Layer, limits: Limits) -> None:
        self._transport = transport
        self._layer = layer
        self.address = transport.address
        """Where it listens, with the real port."""
        self.requests: trio.MemoryReceiveChannel[ServerEvent]
        """New requests, ACKs of 2xx, CANCELs, missing ACKs. When REQUESTS_MAX wait, new requests get 503.

        To save wake-ups, take what else is there with ``receive_nowait`` after each ``receive``.
        """
        # What follows a request that was let in (its ACK, its CANCEL, their absence) always has room.
        room = REQUESTS_MAX + 3 * limits.transactions_max
        self._requests, self.requests = trio.open_memory_channel[ServerEvent](room)
        self._alarm = trio.CancelScope()

    def respond(self, transaction: ServerKey, response: Response) -> None:
        """Answer a request; the layer repeats what must be repeated (2xx of INVITE until its ACK included).

        A response to a transaction that is over, or a second final one, is dropped and counted.
        """
        self._layer.respond(transaction, response, trio.current_time())
        self._after_call()

    def send(self, request: Request, target: Address, on: OnClientEvent) -> ClientKey:
        """Start a client transaction. The request has no Via: it is added here.

        ``on`` is called with each ClientEvent, later, from the endpoint's task: it must not block nor raise.
        ``target`` must be an IP address; a name gives Unreachable. Raises TransactionsFull.
        """
        key = self._layer.send(request, target, on, trio.current_time())
        self._after_call()
        return key

    def send_ack(self, ack: Request, target: Address, invite: ClientKey) -> None:
        """Acknowledge a 2xx of our INVITE. When that 2xx is repeated, the layer repeats this ACK by itself."""
        self._layer.send_ack(ack, target, invite)
        self._after_call()

    def cancel(self, invite: ClientKey, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Cancel our INVITE, as soon as a provisional response allows it (section 9.1).

        Its end is still told to ``on``: a final response (487, or a 2xx that must be acknowledged and ended), or
        TimedOut at most 64*T1 after the CANCEL. ``headers`` may hold a Reason.
        """
        self._layer.cancel(invite, headers, trio.current_time())
        self._after_call()

    @property
    def counters(self) -> Counters:
        """What was received, absorbed and dropped since the start."""
        counters = self._layer.counters
        counters.unsent = self._transport.unsent
        return counters

    @property
    def open_transactions(self) -> tuple[int, int]:
        """Client and server transactions in the tables; both go to zero when nothing happens for 64*T1."""
        return self._layer.open_clients, self._layer.open_servers

    async def run(self) -> None:
        """Receive and keep time until cancelled; `open_endpoint` runs it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._transport.run)
            nursery.start_soon(self._keep_time)
            while True:
                await self._transport.readable()
                self._receive()

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._wake_at()) as self._alarm:
                await trio.sleep_forever()
            # What has arrived while we were not running is heard before anyone is told that nothing came.
            self._receive()
            self._layer.tick(trio.current_time())
            self._transmit()
            self._tell()

    def _receive(self) -> None:
        now = trio.current_time()
        receive = self._layer.receive
        accepting = self._requests.statistics().current_buffer_used < REQUESTS_MAX
        for datagram, source in self._transport.receive():
            try:
                receive(datagram, source, now, accepting=accepting)
            except Exception:
                # A mistake of ours, not the sender's; one datagram must not end all calls.
                _log.exception("datagram_failed", source=str(source), bytes=len(datagram))
        for target, why in self._transport.failures():
            self._layer.unreachable(target, why)
        self._transmit()
        self._tell()
        self._set_alarm()

    def _after_call(self) -> None:
        """The user has called: send what follows, and see to it that the rest is not forgotten."""
        self._transmit()
        self._set_alarm()

    def _transmit(self) -> None:
        for datagram, target in self._layer.outbox():
            why = self._transport.send(datagram, target)
            if why is not None:
                self._layer.unreachable(target, why)

    def _set_alarm(self) -> None:
        """Have `_keep_time` ring in time for what the layer waits for now."""
        wake_at = self._wake_at()
        if wake_at < self._alarm.deadline:  # noqa: PLR1730 (setting a deadline costs much more than looking at it)
            self._alarm.deadline = wake_at

    def _wake_at(self) -> float:
        # At once when events wait to be told: those that a call of the user's own caused.
        return -inf if self._layer.has_events() else self._layer.wake_at() + TIMER_SLACK_S

    def _tell(self) -> None:
        for event in self._layer.server_events():
            try:
                self._requests.send_nowait(event)
            except (trio.WouldBlock, trio.BrokenResourceError):
                self._layer.counters.refused_full += 1  # nobody listens any more: we are going down
        for on, outcome in self._layer.client_events():
            try:
                on(outcome)
            except Exception:
                # One call's mistake must not end all the others.
                _log.exception("client_event_failed", event_type=type(outcome).__name__)


@asynccontextmanager
async def open_endpoint(
    address: Address,
    *,
    advertised: str | None = None,
    timers: Timers | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Endpoint]:
    """Listen at ``address`` (port 0 picks one) for as long as the block lasts. Raises OSError when it cannot.

    ``advertised`` is the host written into Via; needed (ValueError) when the address is a wildcard.
    """
    if advertised is None and address.host in WILDCARDS:
        raise ValueError(f"{address} needs an advertised host: nobody can answer to a wildcard")
    limits = limits or Limits()
    transport = UdpTransport(address)
    try:
        sent_by = Address(advertised or transport.address.host, transport.address.port)
        layer = Layer(sent_by, _token, timers, limits, transport.name)
        endpoint = Endpoint(transport, layer, limits)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.run)
            yield endpoint
            nursery.cancel_scope.cancel()
    finally:
        transport.close()


async def serve_endpoint(
    address: Address,
    *,
    advertised: str | None = None,
    timers: Timers | None = None,
    limits: Limits | None = None,
    task_status: trio.TaskStatus[Endpoint] = trio.TASK_STATUS_IGNORED,
) -> None:
    """`open_endpoint` for ``nursery.start``: listens until cancelled."""
    async with open_endpoint(address, advertised=advertised, timers=timers, limits=limits) as endpoint:
        task_status.started(endpoint)
        await trio.sleep_forever()


def _token() -> str:
    return secrets.token_hex(8)
