"""The client's side of INVITE (section 17.1.1, with RFC 6026).

               send
                │               timer B, ICMP
             Calling ──────────────────────────────────▶ Terminated
         A: resend, doubling                                ▲ ▲ ▲
                │ 1xx             cancelled, then 64*T1     │ │ │
                ├──────▶ Proceeding ────────────────────────┘ │ │
                │         │      │ 2xx                        │ │
         300-699│  300-699│      ▼                 M          │ │
                │         │   Accepted ───────────────────────┘ │
                │         ▼   repeats our ACK for a repeated 2xx│
                └──▶ Completed ─────────────────────────────────┘
                     repeats the ACK for a repeated final   D

Calling goes to Accepted on a 2xx as well. A CANCEL that is wanted while Calling waits for the first 1xx (9.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from msgspec import field

from mediaha.sip.message import MAX_FORWARDS, Headers, Request, Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.events import ClientKey, OnClientEvent, TimedOut, Unreachable
from mediaha.sip.transaction.outbox import Counters, Outbox
from mediaha.sip.transaction.state import Lasting, State
from mediaha.sip.transaction.timers import Timers

FORKS_MAX = 16
"""Different 2xx that one INVITE may bring; more are dropped and counted."""


class Calling(State):
    """Nothing heard."""

    resend_at: float
    interval: float
    give_up_at: float
    cancel_wanted: bool = False

    @property
    def wake_at(self) -> float:
        return min(self.resend_at, self.give_up_at)


class Proceeding(State):
    """A provisional response was heard; a final one may take minutes. ``give_up_at`` is set by a CANCEL."""

    give_up_at: float = inf

    @property
    def wake_at(self) -> float:
        return self.give_up_at


class Completed(Lasting):
    """Refused, and acknowledged with ``ack``."""

    ack: bytes


class Accepted(Lasting):
    """Accepted; ``acks`` has each 2xx's To tag, and its ACK once the user has given it."""

    acks: dict[str, tuple[bytes, Target] | None] = field(default_factory=dict)


class Terminated(State):
    """Over."""


TERMINATED = Terminated()


class ClientInvite:
    """One transaction. Its methods put what is to be done into the outbox."""

    __slots__ = (
        "_counters",
        "_datagram",
        "_on",
        "_timers",
        "cancel_headers",
        "key",
        "queued_at",
        "request",
        "state",
        "target",
    )

    def __init__(
        self,
        key: ClientKey,
        request: Request,
        target: Target,
        on: OnClientEvent,
        *,
        timers: Timers,
        counters: Counters,
    ) -> None:
        self.key = key
        self.request = request
        """With our Via on top: ACK and CANCEL are made from it."""
        self.target = target
        self.cancel_headers: tuple[tuple[str, str], ...] = ()
        """What the CANCEL carries beside its own fields: a Reason."""
        self.queued_at = inf
        self.state: Calling | Proceeding | Completed | Accepted | Terminated = TERMINATED
        self._datagram = b""
        self._on = on
        self._timers = timers
        self._counters = counters

    def start(self, datagram: bytes, out: Outbox, now: float) -> None:
        """Send the request."""
        timers = self._timers
        resend_at = inf if timers.reliable else now + timers.t1
        self.state = Calling(resend_at, timers.t1, now + timers.invite)
        self._datagram = datagram
        out.datagrams.append((datagram, self.target))

    def restart(self, datagram: bytes, timers: Timers, out: Outbox, now: float) -> None:
        """Send it anew, over another transport, to a ``target`` that has been set before (section 18.1.1)."""
        cancel_wanted = isinstance(self.state, Calling) and self.state.cancel_wanted
        self._timers = timers
        self.start(datagram, out, now)
        if cancel_wanted and isinstance(self.state, Calling):
            self.state.cancel_wanted = True

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
        return isinstance(self.state, Calling)

    def cancel(self, headers: Iterable[tuple[str, str]], now: float) -> bool:
        """The user wants it cancelled. Returns whether the CANCEL may be sent now."""
        self.cancel_headers = tuple(headers)
        if isinstance(self.state, Calling):
            self.state.cancel_wanted = True
        elif isinstance(self.state, Proceeding) and self.state.give_up_at == inf:
            self.state.give_up_at = now + self._timers.transaction
            return True
        return False

    def response(self, response: Response, out: Outbox, now: float) -> bool:
        """A response whose branch and method match. Returns whether a wanted CANCEL may be sent now."""
        state = self.state
        if isinstance(state, Calling | Proceeding):
            out.client_events.append((self._on, response))
            if response.status < 200:
                return self._provisional(state, now)
            self._datagram = b""
            if response.status < 300:
                self.state = Accepted(now + self._timers.transaction, {response.to_tag: None})
            else:
                self._refused(response, out, now)
        elif isinstance(state, Accepted) and 200 <= response.status < 300:
            self._accepted_again(state, response, out)
        else:
            self._counters.retransmissions += 1
            if isinstance(state, Completed) and response.status >= 300:
                out.datagrams.append((state.ack, self.target))
        return False

    def acknowledge(self, to_tag: str, ack: bytes, target: Target) -> None:
        """Remember the user's ACK of the 2xx with this To tag, to repeat it (section 13.2.2.4)."""
        if isinstance(self.state, Accepted) and to_tag in self.state.acks:
            self.state.acks[to_tag] = (ack, target)

    def wake(self, out: Outbox, now: float) -> None:
        """A timer has come: A, B, D, M or the end of a cancelled one."""
        state = self.state
        if isinstance(state, Calling | Proceeding):
            if now >= state.give_up_at:
                self._counters.timeouts += 1
                out.client_events.append((self._on, TimedOut()))
                self.state = TERMINATED
            elif isinstance(state, Calling) and now >= state.resend_at:
                out.datagrams.append((self._datagram, self.target))
                state.interval *= 2
                state.resend_at = now + state.interval
        elif isinstance(state, Completed | Accepted) and now >= state.until:
            self.state = TERMINATED

    def unreachable(self, why: str, out: Outbox) -> None:
        """The transport says that the target cannot be reached (section 8.1.3.1)."""
        if isinstance(self.state, Calling):
            self._counters.unreachable += 1
            out.client_events.append((self._on, Unreachable(why)))
            self.state = TERMINATED

    def _provisional(self, state: Calling | Proceeding, now: float) -> bool:
        if isinstance(state, Proceeding):
            return False
        if state.cancel_wanted:
            self.state = Proceeding(now + self._timers.transaction)
            return True
        self.state = Proceeding()
        return False

    def _refused(self, response: Response, out: Outbox, now: float) -> None:
        ack = refusal_ack(self.request, response).to_bytes()
        out.datagrams.append((ack, self.target))
        self.state = TERMINATED if self._timers.reliable else Completed(now + self._timers.d, ack)

    def _accepted_again(self, state: Accepted, response: Response, out: Outbox) -> None:
        tag = response.to_tag
        if tag in state.acks:
            self._counters.retransmissions += 1
            known = state.acks[tag]
            if known is not None:
                out.datagrams.append(known)
        elif len(state.acks) < FORKS_MAX:
            state.acks[tag] = None
            out.client_events.append((self._on, response))
        else:
            self._counters.forks_dropped += 1


def refusal_ack(request: Request, response: Response) -> Request:
    """The ACK of a final response from 300 on, which belongs to the INVITE's transaction (section 17.1.1.3)."""
    headers = request.headers
    fields = [("Via", request.via.text)]
    fields += headers.pairs("Route")
    fields.append(("Max-Forwards", str(MAX_FORWARDS)))
    fields += headers.pairs("From")
    fields += response.headers.pairs("To")
    fields += headers.pairs("Call-ID")
    fields.append(("CSeq", f"{request.cseq.number} ACK"))
    return Request("ACK", request.uri, Headers(fields), b"", request.encoding)


def cancel_of(request: Request, extra: Iterable[tuple[str, str]]) -> Request:
    """The CANCEL of an INVITE: the same but for CSeq's method, and one Via (section 9.1)."""
    headers = request.headers
    fields = [("Via", request.via.text)]
    fields += headers.pairs("Route")
    fields.append(("Max-Forwards", str(MAX_FORWARDS)))
    fields += headers.pairs("From") + headers.pairs("To") + headers.pairs("Call-ID")
    fields.append(("CSeq", f"{request.cseq.number} CANCEL"))
    return Request("CANCEL", request.uri, Headers([*fields, *extra]), b"", request.encoding)
