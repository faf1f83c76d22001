"""Traces over the control socket: begun by one question, read by many, ended by one or by silence."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.ops.control import Request
from mediaha.sip.target import Target
from mediaha.sip.trace import Traced

SECONDS = 600.0


class NoSuchTrace(MediahaError):
    """The trace has ended, or there never was one."""


class TracedNets(Protocol):
    """A NeTS instance whose messages can be looked at."""

    def trace(self, name: str, wanted: str, seconds: float) -> bool: ...
    def traced(self, name: str) -> tuple[tuple[Traced, ...], int] | None: ...
    def untrace(self, name: str) -> None: ...
    def under_way(self, name: str) -> bool: ...


class TraceBegun(msgspec.Struct, kw_only=True):
    """A trace has begun."""

    trace: str
    """Its name in the questions that follow."""
    known: bool
    """A call of that name is known: its messages come. Else it is waited for messages that mention the text."""
    under_way: bool
    """The call is there; one that is over sends little more."""


class TracedMessage(msgspec.Struct, kw_only=True):
    """A message as JSON."""

    at: float
    """Seconds since 1970."""
    received: bool
    local: str
    """Our end, ``IP:PORT``."""
    remote: str
    transport: str
    message: bytes
    """As it was; in base64."""

    @classmethod
    def of(cls, traced: Traced) -> TracedMessage:
        return cls(
            at=traced.at,
            received=traced.received,
            local=str(traced.local),
            remote=str(traced.flow.address),
            transport=traced.flow.transport,
            message=traced.message,
        )

    def as_traced(self) -> Traced:
        """As the trace had it. Raises AddressError."""
        flow = Target(self.transport, Address.parse(self.remote))
        return Traced(self.at, self.received, self.message, Address.parse(self.local), flow)


class TracedNow(msgspec.Struct, kw_only=True):
    """What has come since it was asked last."""

    messages: list[TracedMessage]
    dropped: int
    under_way: bool
    """The call is still there."""


class Tracing:
    """The traces of a host: each goes over all its NeTS instances."""

    def __init__(self, nets: Callable[[], Sequence[TracedNets]]) -> None:
        self._nets = nets
        self._wanted: dict[str, str] = {}

    def begin(self, request: Request) -> TraceBegun:
        """``call``: any name of the call, or a text. ``seconds``: how long at most."""
        wanted, seconds = request.get("call"), request.get("seconds", SECONDS)
        if not isinstance(wanted, str) or isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise NoSuchTrace("a trace needs a call, and seconds that are a number")
        if not seconds > 0:
            raise NoSuchTrace(f"a trace of {seconds:g} seconds shows nothing; let it last longer")
        if not self._nets():
            raise NoSuchTrace("no NeTS runs on this host; ask on one where it does")
        name = secrets.token_hex(8)
        known = [nets.trace(name, wanted, seconds) for nets in self._nets()]
        self._forget_those_over()
        self._wanted[name] = wanted
        return TraceBegun(trace=name, known=any(known), under_way=self._under_way(wanted))

    def take(self, request: Request) -> TracedNow:
        """``trace``: its name."""
        name = str(request.get("trace"))
        taken = [found for nets in self._nets() if (found := nets.traced(name)) is not None]
        if not taken:
            self._wanted.pop(name, None)
            raise NoSuchTrace("the trace is over")
        messages = sorted((one for messages, _ in taken for one in messages), key=lambda one: one.at)
        return TracedNow(
            messages=[TracedMessage.of(one) for one in messages],
            dropped=sum(dropped for _, dropped in taken),
            under_way=self._under_way(self._wanted.get(name, "")),
        )

    def end(self, request: Request) -> object:
        """``trace``: its name."""
        name = str(request.get("trace"))
        self._wanted.pop(name, None)
        for nets in self._nets():
            nets.untrace(name)
        return {"ended": name}

    def _under_way(self, wanted: str) -> bool:
        return any(nets.under_way(wanted) for nets in self._nets())

    def _forget_those_over(self) -> None:
        """Whoever went away without a word has left a name behind."""
        self._wanted = dict(list(self._wanted.items())[-WANTED_MAX:])


WANTED_MAX = 64
