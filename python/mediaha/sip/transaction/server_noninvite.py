"""The server's side of every request but INVITE and ACK (section 17.2.2).

          request
             │
             ▼          1xx                   200-699
          Trying ─────────────▶ Proceeding ───────────▶ Completed ──────▶ Terminated
             │   200-699        repeats it              repeats it   J
             └────────────────────────────────────────────▲

Trying and Proceeding end by themselves 64*T1 after the request: by then the client's timer F has fired and nobody
waits for the answer any more, so that a user who forgets a request leaks nothing.
"""

from __future__ import annotations

from math import inf

from mediaha.sip.message import Request, Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.events import ServerKey
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.state import Lasting, State
from mediaha.sip.transaction.timers import Timers


class Trying(Lasting):
    """Not answered."""


class Proceeding(Lasting):
    """Answered provisionally with ``last``."""

    last: bytes


class Completed(Lasting):
    """Answered with ``final``."""

    final: bytes


class Terminated(State):
    """Over."""


TERMINATED = Terminated()


class ServerNonInvite:
    """One transaction. Its methods put what is to be done into the outbox."""

    __slots__ = ("_counters", "_timers", "index", "key", "queued_at", "state", "target")

    def __init__(
        self, key: ServerKey, request: Request, target: Target, now: float, *, timers: Timers, counters: Counters
    ) -> None:
        self.key = key
        self.target = target
        """Where responses go."""
        self.index: tuple[str, str, int, str] | None = None
        self.queued_at = inf
        self.state: Trying | Proceeding | Completed | Terminated = Trying(now + timers.transaction)
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

    def repeated(self, out: Outbox) -> None:
        """The request was received again."""
        self._counters.retransmissions += 1
        state = self.state
        if isinstance(state, Proceeding):
            out.datagrams.append((state.last, self.target))
        elif isinstance(state, Completed):
            out.datagrams.append((state.final, self.target))

    def respond(self, response: Response, out: Outbox, now: float) -> None:
        """The user's answer."""
        state = self.state
        if not isinstance(state, Trying | Proceeding):
            self._counters.late_responses += 1
            return
        datagram = response.to_bytes()
        out.datagrams.append((datagram, self.target))
        if response.status < 200:
            self.state = Proceeding(state.until, datagram)
        elif self._timers.reliable:
            self.state = TERMINATED
        else:
            self.state = Completed(now + self._timers.transaction, datagram)

    def forget(self) -> None:
        """It is answered, and that is all: see `Servers.respond_once`."""
        self.state = TERMINATED

    def wake(self, out: Outbox, now: float) -> None:
        """A timer has come: J, or the client has given up."""
        if not isinstance(self.state, Terminated) and now >= self.state.until:
            self.state = TERMINATED
