"""The client's side of every request but INVITE and ACK (section 17.1.2).

      send
       │                    timer F, ICMP
    Trying ──────────────────────────────────▶ Terminated
E: resend, doubling to T2                          ▲ ▲
       │ 1xx                        timer F        │ │
       ├──────▶ Proceeding ────────────────────────┘ │
200-699│        E: resend each T2                    │ K
       ▼             │ 200-699                       │
   Completed ◀───────┘                               │
   absorbs repeated finals ──────────────────────────┘
"""

from __future__ import annotations

from math import inf

from mediaha.sip.message import Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.events import ClientKey, OnClientEvent, TimedOut, Unreachable
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.state import Lasting, State
from mediaha.sip.transaction.timers import Timers


class Trying(State):
    """Nothing heard."""

    resend_at: float
    interval: float
    give_up_at: float

    @property
    def wake_at(self) -> float:
        return min(self.resend_at, self.give_up_at)


class Proceeding(State):
    """A provisional response was heard."""

    resend_at: float
    give_up_at: float

    @property
    def wake_at(self) -> float:
        return min(self.resend_at, self.give_up_at)


class Completed(Lasting):
    """Answered."""


class Terminated(State):
    """Over."""


TERMINATED = Terminated()


class ClientNonInvite:
    """One transaction. Its methods put what is to be done into the outbox."""

    __slots__ = ("_counters", "_datagram", "_on", "_timers", "key", "queued_at", "state", "target")

    def __init__(
        self,
        key: ClientKey,
        datagram: bytes,
        target: Target,
        on: OnClientEvent,
        *,
        timers: Timers,
        counters: Counters,
    ) -> None:
        self.key = key
        self.target = target
        self.queued_at = inf
        self.state: Trying | Proceeding | Completed | Terminated = TERMINATED
        self._datagram = datagram
        self._on = on
        self._timers = timers
        self._counters = counters

    def start(self, out: Outbox, now: float) -> None:
        """Send the request."""
        timers = self._timers
        resend_at = inf if timers.reliable else now + timers.t1
        self.state = Trying(resend_at, timers.t1, now + timers.request)
        out.datagrams.append((self._datagram, self.target))

    def restart(self, datagram: bytes, timers: Timers, out: Outbox, now: float) -> None:
        """Send it anew, over another transport, to a ``target`` that has been set before (section 18.1.1)."""
        self._datagram = datagram
        self._timers = timers
        self.start(out, now)

    @property
    def wake_at(self) -> float:
        """The next timer."""
        return self.state.wake_at

    @property
    def finished(self) -> bool:
        """Whether it can be forgotten."""
        return self.state is TERMINATED

    @property
    def unheard(self) -> bool:
        """Whether no response at all has come yet."""
        return isinstance(self.state, Trying)

    def response(self, response: Response, out: Outbox, now: float) -> None:
        """A response whose branch and method match."""
        state = self.state
        if not isinstance(state, Trying | Proceeding):
            self._counters.retransmissions += 1
            return
        out.client_events.append((self._on, response))
        if response.status >= 200:
            self._end_with(Completed(now + self._timers.t4))
        elif isinstance(state, Trying):
            resend_at = inf if self._timers.reliable else now + self._timers.t2
            self.state = Proceeding(resend_at, state.give_up_at)

    def wake(self, out: Outbox, now: float) -> None:
        """A timer has come: E, F or K."""
        state = self.state
        if isinstance(state, Completed):
            if now >= state.until:
                self.state = TERMINATED
        elif isinstance(state, Trying | Proceeding):
            if now >= state.give_up_at:
                self._counters.timeouts += 1
                out.client_events.append((self._on, TimedOut()))
                self.state = TERMINATED
            elif now >= state.resend_at:
                self._resend(state, out, now)

    def unreachable(self, why: str, out: Outbox) -> None:
        """The transport says that the target cannot be reached (section 8.1.3.1)."""
        if isinstance(self.state, Trying):
            self._counters.unreachable += 1
            out.client_events.append((self._on, Unreachable(why)))
            self.state = TERMINATED

    def _resend(self, state: Trying | Proceeding, out: Outbox, now: float) -> None:
        out.datagrams.append((self._datagram, self.target))
        if isinstance(state, Trying):
            state.interval = min(2 * state.interval, self._timers.t2)
            state.resend_at = now + state.interval
        else:
            state.resend_at = now + self._timers.t2

    def _end_with(self, completed: Completed) -> None:
        self.state = TERMINATED if self._timers.reliable else completed
        self._datagram = b""  # thousands wait for timer K; what they will not send again need not wait with them
