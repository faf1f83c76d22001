"""The endpoint: transactions over its listeners, on trio. It does; `mediaha.sip.transaction.layer` decides."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from math import inf

import structlog
import trio

from mediaha.model.address import Address
from mediaha.model.listener import Listener, ListenerView
from mediaha.sip.message import Request, Response
from mediaha.sip.rate import RateLimit
from mediaha.sip.target import TLS, Place, Target
from mediaha.sip.trace import Tap, Traced
from mediaha.sip.transaction.events import ClientKey, OnClientEvent, ServerEvent, ServerKey
from mediaha.sip.transaction.layer import Layer
from mediaha.sip.transaction.outbox import Counters
from mediaha.sip.transaction.servers import Limits
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transport.listener import open_transport
from mediaha.sip.transport.patience import STREAM_LIMITS, StreamLimits
from mediaha.sip.transport.seam import Heard, Transport
from mediaha.sip.transport.streams import StreamTransport

REQUESTS_MAX = 1024
"""Requests that may wait for the user before new ones are refused."""
HANDSHAKE_MESSAGES = 4
"""What a TLS handshake costs us, in messages."""
TOKEN_BYTES = 8
TOKENS_AT_ONCE = 256
TIMER_SLACK_S = 0.005
"""Timers that come this close together share one wake-up."""

_log = structlog.get_logger(__name__)


class Endpoint:
    """Sends and receives SIP at its listeners. Every method but ``requests.receive`` returns at once."""

    def __init__(
        self, transports: Sequence[Transport], layer: Layer, limits: Limits, guard: RateLimit | None = None
    ) -> None:
        self._transports = {transport.place.name: transport for transport in transports}
        self._layer = layer
        self.address = transports[0].address
        """Where its first listener listens, with the real port."""
        self.places: tuple[Place, ...] = tuple(transport.place for transport in transports)
        """All listeners as peers see them."""
        self.listening: tuple[str, ...] = tuple(
            f"{transport.address}/{transport.place.transport.lower()}" for transport in transports
        )
        """The same as they are here: ``0.0.0.0:5060/udp``."""
        self.requests: trio.MemoryReceiveChannel[ServerEvent]
        """New requests, ACKs of 2xx, CANCELs, missing ACKs. When REQUESTS_MAX wait, new requests get 503.

        To save wake-ups, take what else is there with ``receive_nowait`` after each ``receive``.
        """
        # What follows a request that was let in (its ACK, its CANCEL, their absence) always has room.
        room = REQUESTS_MAX + 3 * limits.transactions_max
        self._requests, self.requests = trio.open_memory_channel[ServerEvent](room)
        self.guard = guard
        """Who is not taken notice of, silently; what it drops is counted as ``turned_away``. None: all are heard."""
        self.tap: Tap | None = None
        """Called with each message that comes and goes, those that the guard drops excepted. None: nobody looks."""
        self.on_lost: Callable[[int, str], None] | None = None
        """Called with the number of each connection that is closed, and why: a phone that came on it is gone. It must
        not block nor raise."""
        self._on_event: Callable[[ServerEvent], None] | None = None
        self._alarm = trio.CancelScope()
        self._behind: dict[str, float] = {}
        """Since when a listener has had more to read each time than was taken, by its name."""

    def give_events(self, on_event: Callable[[ServerEvent], None]) -> None:
        """Call ``on_event`` with each event from now on instead of putting it into ``requests``: it saves a wake-up.

        Those that wait there are given at once. It must not block; that it raises is logged.
        """
        self._on_event = on_event
        with suppress(trio.WouldBlock):
            while True:
                self._pass_on(self.requests.receive_nowait())

    def respond(self, transaction: ServerKey, response: Response) -> None:
        """Answer a request; the layer repeats what must be repeated (2xx of INVITE until its ACK included).

        A response to a transaction that is over, or a second final one, is dropped and counted.
        """
        self._layer.respond(transaction, response, trio.current_time())
        self._after_call()

    def respond_once(self, transaction: ServerKey, response: Response) -> None:
        """Refuse a stranger's request: one response for each time that it comes, and nothing is remembered."""
        self._layer.respond_once(transaction, response, trio.current_time())
        self._after_call()

    def send(self, request: Request, target: Target | Address, on: OnClientEvent, *, widens: bool = True) -> ClientKey:
        """Start a client transaction. The request has no Via: it is added here.

        ``on`` is called with each ClientEvent, later, from the endpoint's task: it must not block nor raise.
        ``target`` has an IP address (an address alone means UDP); a name gives Unreachable. Over UDP, a request of
        more than 1300 bytes goes by TCP when there is a TCP listener, and by UDP after all if that is refused
        (section 18.1.1). ``widens`` False: by UDP in any case, as behind a NAT nobody takes a connection, nor says so.
        Raises TransactionsFull.
        """
        key = self._layer.send(request, target, on, trio.current_time(), widens=widens)
        self._after_call()
        return key

    def send_ack(self, ack: Request, target: Target | Address, invite: ClientKey) -> None:
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
        counters.turned_away = self.guard.turned_away if self.guard else 0
        streams = [transport for transport in self._transports.values() if isinstance(transport, StreamTransport)]
        counters.connections = sum(transport.connections for transport in streams)
        counters.connections_refused = sum(transport.turned_away for transport in streams)
        counters.connections_cut = sum(transport.cut_off for transport in streams)
        counters.unsent = sum(transport.unsent for transport in self._transports.values())
        return counters

    @property
    def transactions(self) -> int:
        """How many transactions there are now, those included that only absorb retransmissions."""
        return self._layer.transactions

    def listeners(self) -> tuple[ListenerView, ...]:
        """Each of its listeners, and how much it is used."""
        views = []
        for listening, transport in zip(self.listening, self._transports.values(), strict=True):
            if isinstance(transport, StreamTransport):
                views.append(ListenerView(listening, transport.connections, transport.certificate_ends))
            else:
                views.append(ListenerView(listening))
        return tuple(views)

    @property
    def open_transactions(self) -> tuple[int, int]:
        """Client and server transactions in the tables; both go to zero when nothing happens for 64*T1."""
        return self._layer.open_clients, self._layer.open_servers

    @property
    def behind_s(self) -> float:
        """For how long more has been arriving than is read; 0: everything has been read."""
        return trio.current_time() - min(self._behind.values()) if self._behind else 0.0

    def is_open(self, target: Target) -> bool:
        """False when it insists on a connection that is there no more."""
        transport = self._transports.get(target.listener)
        return not (target.connection and isinstance(transport, StreamTransport)) or transport.has(target.connection)

    def certificate_names(self, flow: Target) -> tuple[str, ...]:
        """What the certificate of whoever is at the other end is made out to, when one was asked for and trusted."""
        transport = self._transports.get(flow.listener)
        return transport.names(flow) if isinstance(transport, StreamTransport) else ()

    def reload_certificates(self) -> None:
        """Read the certificates of all TLS listeners again, for connections to come; those that there are go on.

        Raises CertificateError; that listener goes on with what it has.
        """
        for transport in self._transports.values():
            if isinstance(transport, StreamTransport):
                transport.reload()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Receive and keep time until cancelled; `open_endpoint` runs it."""
        async with trio.open_nursery() as nursery:
            for transport in self._transports.values():
                await nursery.start(transport.run, self)
            task_status.started()
            await self._keep_time()

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._wake_at()) as self._alarm:
                await trio.sleep_forever()
            # What has arrived while we were not running is heard before anyone is told that nothing came.
            for transport in self._transports.values():
                self._hear(transport.receive())
            self._layer.tick(trio.current_time())
            self._transmit()
            self._tell()

    # What transports tell

    def heard(self, heard: Heard) -> None:
        """Messages came, or ways were found to lead nowhere."""
        self._hear(heard)
        self._transmit()
        self._tell()
        self._set_alarm()

    def welcomes(self, host: str, transport: str) -> bool:
        """Whether a source may connect: a connection counts as a message, with TLS as what its handshake costs."""
        guard = self.guard
        if guard is None:
            return True
        now = trio.current_time()
        if not guard.admits(host, now):
            return False
        if transport == TLS:
            guard.charge(host, HANDSHAKE_MESSAGES - 1, now)
        return True

    def cut_short(self, head: bytes, status: int, reason: str, flow: Target) -> None:
        """A connection is given up in the midst of a message."""
        self._layer.cut_short(head, status, reason, flow)
        self._transmit()

    def _hear(self, heard: Heard) -> None:
        now = trio.current_time()
        receive = self._layer.receive
        accepting = self._on_event is not None or self._requests.statistics().current_buffer_used < REQUESTS_MAX
        guard = self.guard
        self._note_backlog(heard, now)
        for message, flow in heard.messages:
            if guard is not None and not guard.admits(flow.address.host, now):
                continue
            if self.tap is not None:
                self._trace(message, flow, received=True)
            try:
                receive(message, flow, now, accepting=accepting)
            except Exception:
                # A mistake of ours, not the sender's; one message must not end all calls.
                _log.exception("message_failed", source=str(flow), bytes=len(message))
            # One by one: who answers and hangs up at once must not be heard the other way round.
            self._tell()
        for flow, why in heard.lost:
            self._layer.unreachable(flow, why, now)
            if flow.connection and self.on_lost is not None:
                self.on_lost(flow.connection, why)

    def _note_backlog(self, heard: Heard, now: float) -> None:
        if heard.more and heard.messages:
            self._behind.setdefault(heard.messages[0][1].listener, now)
        elif self._behind and heard.messages:
            self._behind.pop(heard.messages[0][1].listener, None)

    def _after_call(self) -> None:
        """The user has called: send what follows, and see to it that the rest is not forgotten."""
        self._transmit()
        self._set_alarm()

    def _transmit(self) -> None:
        transports = self._transports
        # What cannot be delivered may have a second way, so that there may be more to send.
        while outbox := self._layer.outbox():
            for message, target in outbox:
                if self.tap is not None:
                    self._trace(message, target, received=False)
                why = transports[target.listener].send(message, target)
                if why is not None:
                    self._layer.undelivered(message, target, why, trio.current_time())

    def _trace(self, message: bytes, flow: Target, *, received: bool) -> None:
        local = self._transports[flow.listener].place.sent_by
        try:
            if self.tap is not None:
                self.tap(Traced(time.time(), received, message, local, flow))
        except Exception:
            # Whoever looks on must not disturb the calls.
            self.tap = None
            _log.exception("tap_failed")

    def _set_alarm(self) -> None:
        """Have `_keep_time` ring in time for what the layer waits for now."""
        wake_at = self._wake_at()
        if wake_at < self._alarm.deadline:  # noqa: PLR1730 (setting a deadline costs much more than looking at it)
            self._alarm.deadline = wake_at

    def _wake_at(self) -> float:
        # At once when events wait to be told: those that a call of the user's own caused.
        return -inf if self._layer.has_events() else self._layer.wake_at() + TIMER_SLACK_S

    def _tell(self) -> None:
        server_events, client_events = self._layer.server_events(), self._layer.client_events()
        for event in server_events:
            self._pass_on(event)
        for on, outcome in client_events:
            try:
                on(outcome)
            except Exception:
                # One call's mistake must not end all the others.
                _log.exception("client_event_failed", event_type=type(outcome).__name__)

    def _pass_on(self, event: ServerEvent) -> None:
        if self._on_event is None:
            try:
                self._requests.send_nowait(event)
            except (trio.WouldBlock, trio.BrokenResourceError):
                self._layer.counters.refused_full += 1  # nobody listens any more: we are going down
            return
        try:
            self._on_event(event)
        except Exception:
            _log.exception("event_failed", event_type=type(event).__name__)


@asynccontextmanager
async def open_endpoint(
    where: Address | Sequence[Listener],
    *,
    advertised: str | None = None,
    timers: Timers | None = None,
    limits: Limits | None = None,
    stream_limits: StreamLimits = STREAM_LIMITS,
    guard: RateLimit | None = None,
) -> AsyncIterator[Endpoint]:
    """Listen for as long as the block lasts. Raises OSError when an address cannot be listened at, CertificateError.

    ``where`` are the listeners, the preferred one of each transport first; an address alone means UDP there, with
    ``advertised`` as the host written into Via, which a wildcard needs (ValueError). ``guard`` limits what each source
    may send.
    """
    listeners = [Listener(where, advertised=advertised)] if isinstance(where, Address) else where
    limits = limits or Limits()
    with ExitStack() as opened:
        transports: list[Transport] = []
        for listener in listeners:
            transport = open_transport(listener, stream_limits)
            opened.callback(transport.close)
            transports.append(transport)
        layer = Layer([transport.place for transport in transports], partial(next, _tokens()), timers, limits)
        endpoint = Endpoint(transports, layer, limits, guard)
        async with trio.open_nursery() as nursery:
            await nursery.start(endpoint.run)
            yield endpoint
            nursery.cancel_scope.cancel()


def _tokens() -> Iterator[str]:
    """Unguessable ones, for ever. Chance is fetched for many at once, since each time is a system call."""
    while True:
        chance = secrets.token_hex(TOKEN_BYTES * TOKENS_AT_ONCE)
        for at in range(0, len(chance), 2 * TOKEN_BYTES):
            yield chance[at : at + 2 * TOKEN_BYTES]
