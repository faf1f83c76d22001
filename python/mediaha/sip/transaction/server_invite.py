"""The server's side of INVITE (section 17.2.1, with RFC 6026), and the repetition of its 2xx (13.3.1.4).

    INVITE
       │             2xx                    64*T1 (L)
   Proceeding ───────────────▶ Accepted ─────────────────▶ Terminated
100 after 200 ms     repeats the 2xx until its ACK;          ▲    ▲
repeats the last     no ACK by then is told                  │    │
       │                                                     │    │
       │ 300-699                              H              │    │
       └──────▶ Completed ───────────────────────────────────┘    │
                G: repeats it, doubling to T2                     │
                    │ ACK                                         │
                    └──────▶ Confirmed ───────────────────────────┘
                             absorbs ACKs             I
"""

from __future__ import annotations

from math import inf

from mediaha.model.address import Address
from mediaha.sip.message import Request, Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.events import Acknowledged, ServerKey, Unacknowledged
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.state import Lasting, State
from mediaha.sip.transaction.timers import Timers


class Proceeding(State):
    """No final response. ``last`` is the latest provisional one; ``trying_at`` is when a 100 is due."""

    request: Request
    trying_at: float
    last: bytes = b""

    @property
    def wake_at(self) -> float:
        return self.trying_at


class Completed(State):
    """Refused with ``final``."""

    final: bytes
    resend_at: float
    interval: float
    give_up_at: float

    @property
    def wake_at(self) -> float:
        return min(self.resend_at, self.give_up_at)


class Confirmed(Lasting):
    """The refusal has been acknowledged."""


class Accepted(State):
    """Answered with the 2xx ``ok``; ``resend_at`` is infinite once its ACK is there."""

    ok: bytes
    resend_at: float
    interval: float
    until: float
    acknowledged: bool = False

    @property
    def wake_at(self) -> float:
        return min(self.resend_at, self.until)


class Terminated(State):
    """Over."""


TERMINATED = Terminated()

DialogKey = tuple[str, str, str, int]


class ServerInvite:
    """One transaction. Its methods put what is to be done into the outbox."""

    __slots__ = ("_counters", "_timers", "dialog", "index", "key", "local_tag", "queued_at", "state", "target")

    def __init__(
        self, key: ServerKey, request: Request, target: Target, now: float, *, timers: Timers, counters: Counters
    ) -> None:
        self.key = key
        self.target = target
        """Where responses go."""
        self.index: tuple[str, str, int, str] | None = None
        self.dialog: DialogKey | None = None
        """Call-ID, From tag, To tag and CSeq number of the ACK that a 2xx is waiting for."""
        self.local_tag = ""
        """Our To tag, once a response had one; the response to a CANCEL bears it too (section 9.2)."""
        self.queued_at = inf
        self.state: Proceeding | Completed | Confirmed | Accepted | Terminated
        self.state = Proceeding(request, now + timers.trying)
        self._timers = timers
        self._counters = counters

    @property
    def wake_at(self) -> float:
        """The next timer."""
        return self.state.wake_at

    @property
    def finished(self) -> bool:
        """Whether it can be forgotten."""
        return self.state is TERMINATED

    @property
    def cancellable(self) -> bool:
        """Whether a CANCEL still has an effect: no final response has been sent."""
        return isinstance(self.state, Proceeding)

    def repeated(self, out: Outbox) -> None:
        """The INVITE was received again."""
        self._counters.retransmissions += 1
        state = self.state
        if isinstance(state, Proceeding) and state.last:
            out.datagrams.append((state.last, self.target))
        elif isinstance(state, Completed):
            out.datagrams.append((state.final, self.target))

    def respond(self, response: Response, out: Outbox, now: float) -> None:
        """The user's answer."""
        state = self.state
        if not isinstance(state, Proceeding):
            self._counters.late_responses += 1
            return
        datagram = response.to_bytes()
        out.datagrams.append((datagram, self.target))
        timers = self._timers
        self.local_tag = response.to_tag or self.local_tag
        if response.status < 200:
            state.last = datagram
            state.trying_at = inf
        elif response.status < 300:
            request = state.request
            self.dialog = (request.call_id, request.from_tag, response.to_tag, request.cseq.number)
            # Over a reliable transport too: the ACK comes from the far end, behind proxies that may lose it.
            self.state = Accepted(datagram, now + timers.t1, timers.t1, now + timers.transaction)
        else:
            resend_at = inf if timers.reliable else now + timers.t1
            self.state = Completed(datagram, resend_at, timers.t1, now + timers.transaction)

    def forget(self) -> None:
        """It is answered, and that is all: see `Servers.respond_once`."""
        self.state = TERMINATED

    def acknowledged(self, ack: Request, source: Address, out: Outbox, now: float) -> None:
        """An ACK: of the refusal by its branch, or of the 2xx by its dialog."""
        state = self.state
        if isinstance(state, Completed):
            self.state = TERMINATED if self._timers.reliable else Confirmed(now + self._timers.t4)
        elif isinstance(state, Accepted) and not state.acknowledged:
            state.acknowledged = True
            state.resend_at = inf
            state.ok = b""
            out.server_events.append(Acknowledged(ack, self.key, source))
        else:
            self._counters.retransmissions += 1

    def wake(self, out: Outbox, now: float) -> None:
        """A timer has come: the 100, G, H, I, L, or the next 2xx."""
        state = self.state
        if isinstance(state, Proceeding):
            if now >= state.trying_at:
                self.respond(state.request.response(100), out, now)
        elif isinstance(state, Completed):
            if now >= state.give_up_at:
                self._counters.timeouts += 1
                self.state = TERMINATED
            elif now >= state.resend_at:
                out.datagrams.append((state.final, self.target))
                state.interval = min(2 * state.interval, self._timers.t2)
                state.resend_at = now + state.interval
        elif isinstance(state, Accepted):
            self._wake_accepted(state, out, now)
        elif isinstance(state, Confirmed) and now >= state.until:
            self.state = TERMINATED

    def _wake_accepted(self, state: Accepted, out: Outbox, now: float) -> None:
        if now >= state.until:
            if not state.acknowledged:
                self._counters.timeouts += 1
                out.server_events.append(Unacknowledged(self.key))
            self.state = TERMINATED
        elif now >= state.resend_at:
            out.datagrams.append((state.ok, self.target))
            state.interval = min(2 * state.interval, self._timers.t2)
            state.resend_at = now + state.interval
