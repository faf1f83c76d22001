"""The trunks of one NeTS: asks each target whether it is alive, says where a call may go. Does; ``health`` decides."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog
import trio
from msgspec import structs

from mediaha.model.address import Address
from mediaha.model.site import Domain
from mediaha.model.trunk import TargetView, Trunk
from mediaha.nets.destination import Destination, plain
from mediaha.nets.headers import seconds_of
from mediaha.nets.ports import Routes
from mediaha.nets.rules import Rules
from mediaha.nets.trunks import health as decide
from mediaha.nets.trunks.accounts import Accounts, cnonce
from mediaha.nets.trunks.health import Down, Health, Up
from mediaha.nets.trunks.lines import OWN, RESOLVE_AGAIN_S, Line, Lines
from mediaha.nets.trunks.order import in_order
from mediaha.nets.trunks.views import views, why, word
from mediaha.sip.auth.client import Answerer
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.message import MAX_FORWARDS, Headers, Request, Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.clients import TransactionsFull
from mediaha.sip.transaction.events import ClientEvent, Unreachable
from mediaha.sip.uri import uri_untrusted

LOOK_S = 1.0
"""How often the site is looked at for trunks that are new or gone."""
LATE_S = 0.2
"""So much later than planned, time has passed in which this process did not run."""

_log = structlog.get_logger("trunks")


class Trunks:
    """Where calls may go, and how well each of these places is."""

    def __init__(self, endpoint: Endpoint, routes: Routes, rules: Rules, name_servers: Sequence[Address] = ()) -> None:
        """``name_servers`` are asked for names; none: those of the machine."""
        self.on_down: Callable[[Trunk, Target], None] = _nothing
        """Called when a target is believed to be down from now on."""
        self._endpoint = endpoint
        self._rules = rules
        self._lines = Lines(endpoint, routes, rules.limits.target_s_max, name_servers, self._changed)
        self._accounts = Accounts()
        self._alarm = trio.CancelScope()

    def _changed(self, trunks: Sequence[Trunk]) -> None:
        self._accounts.read(trunks)
        self._alarm.cancel()

    def destinations(self, domain: Domain) -> tuple[Destination, ...]:
        """Where a call of this domain may go, in the order in which it is tried; none: nobody knows where."""
        now = time.monotonic()
        listed = [destination for name in domain.trunks for destination in self._lines.listed(name)]
        for target in domain.targets:
            listed += [plain(target)] if isinstance(target, Address) else self._lines.listed(OWN, target)
        ordered = in_order(listed, lambda destination: decide.rank(self._health(destination), now))
        doubts = [decide.doubt(self._health(destination), now) for destination in ordered]
        if not any(doubts):
            return ordered
        return tuple(structs.replace(one, doubt=doubt) for one, doubt in zip(ordered, doubts, strict=True))

    def heard(self, destination: Destination, failure: str | None, retry_after: str | None = None) -> None:
        """What a call has met at a destination; ``failure`` is None when it has answered in any way."""
        line = self._lines.with_target(destination.trunk, destination.target)
        if line is None:
            return
        now = time.monotonic()
        before = line.health[destination.target]
        if failure is None and isinstance(before.state, Up) and before.state.heard:
            return
        if failure is None:
            after = decide.answered(before, line.trunk, now)
        else:
            # Whether that was the call or the target, a check tells: now.
            after = replace(decide.failed(before, line.trunk, failure, now), check_at=now)
            seconds = seconds_of(retry_after)
            after = after if seconds is None else decide.held(after, seconds, now)
        self._became(line, destination.target, after)
        self._alarm.cancel()

    def places(self, trunk: str) -> tuple[Target, ...]:
        """The targets of a trunk as they would be tried now."""
        now = time.monotonic()
        ordered = in_order(self._lines.listed(trunk), lambda destination: decide.rank(self._health(destination), now))
        return tuple(destination.target for destination in ordered)

    def is_better(self, trunk: str, one: Target, other: Target) -> bool:
        """Whether the other target of a trunk is down, or is none any more, while the one is there."""
        known = {target: health for line in self._lines.of(trunk) for target, health in line.health.items()}
        down = other not in known or isinstance(known[other].state, Down)
        return down and one in known and not isinstance(known[one].state, Down)

    def trunk_at(self, flow: Target) -> str:
        """The trunk by which something has come, by the host that it has come from; empty: none."""
        return next((line.trunk.name for line in self._lines.at(flow)), "")

    def trusts(self, flow: Target) -> bool:
        """Whether what has come from there may be believed: not if it may have come by a trunk that is not trusted.

        Several trunks may lead to one host; then the port tells, unless it is none of theirs.
        """
        lines = self._lines.at(flow)
        exact = [line for line in lines if flow[:2] in {target[:2] for target in line.found}]
        return all(line.trunk.trusted for line in exact or lines)

    def answerer(self, trunk: str, target: Target) -> Answerer | None:
        """Who says there who we are; None: nobody can."""
        return self._accounts.answerer(trunk, target.address.host)

    def views(self) -> tuple[TargetView, ...]:
        """Every target as it is now."""
        return tuple(view for line in self._lines for view in views(line))

    def hosts(self) -> frozenset[str]:
        """The IP addresses of all targets, as far as they are known: of trunks, and of domains themselves."""
        return self._lines.hosts()

    def names(self) -> frozenset[str]:
        """The hosts of their URIs, in lower case: what their certificates are made out to."""
        return frozenset(uri_untrusted(line.uri).host for line in self._lines)

    def _health(self, destination: Destination) -> Health | None:
        line = self._lines.with_target(destination.trunk, destination.target)
        return line.health[destination.target] if line is not None else None

    async def run(self) -> None:
        """Check targets and look names up until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                now = time.monotonic()
                for line in self._lines:
                    if line.resolve_at <= now:
                        line.resolve_at = now + RESOLVE_AGAIN_S
                        nursery.start_soon(self._resolve, line)
                    self._look(line, now)
                until = trio.current_time() + self._pause()
                with trio.CancelScope(deadline=until) as self._alarm:
                    await trio.sleep_forever()
                if trio.current_time() > until + LATE_S:
                    # Nobody ran, we neither: what has come meanwhile is heard before it is said that nothing came.
                    await trio.sleep(LATE_S)

    def _pause(self) -> float:
        due = [decide.wake_at(one, line.trunk) for line in self._lines for one in line.health.values()]
        due += [line.resolve_at for line in self._lines]
        return max(0.0, min(min(due, default=float("inf")) - time.monotonic(), LOOK_S))

    async def _resolve(self, line: Line) -> None:
        await self._lines.resolve(line)
        self._alarm.cancel()

    # Checks

    def _look(self, line: Line, now: float) -> None:
        for target, before in list(line.health.items()):
            after, ask = decide.look(before, line.trunk, now)
            if after is not before:
                self._became(line, target, after)
            if ask:
                self._ask(line, target, after.asked)

    def _ask(self, line: Line, target: Target, asked: int) -> None:
        answerer = self.answerer(line.trunk.name, target)
        request = self._options(line.uri, target)
        self._send(line, target, asked, request if answerer is None else answerer.prove(request, cnonce()))

    def _send(self, line: Line, target: Target, asked: int, request: Request) -> None:
        told = partial(self._told, line, target, asked, request)
        try:
            self._endpoint.send(request, target, told)
        except TransactionsFull:
            # That is our own trouble, and says nothing about the target.
            line.health[target] = decide.not_asked(line.health[target], line.trunk, time.monotonic())

    def _told(self, line: Line, target: Target, asked: int, request: Request, outcome: ClientEvent) -> None:
        before = line.health.get(target)
        if before is None or (isinstance(outcome, Response) and outcome.status < 200):
            return
        answerer = self.answerer(line.trunk.name, target) if isinstance(outcome, Response) else None
        if answerer is not None and isinstance(outcome, Response):
            proved = answerer.answer(request, outcome, cnonce())
            if proved is not None:
                self._send(line, target, asked, proved)
                return
        failure = _failure(outcome, line.trunk)
        self._became(line, target, decide.checked(before, line.trunk, asked, failure, time.monotonic()))
        self._alarm.cancel()

    def _options(self, uri: str, target: Target) -> Request:
        return Request(
            "OPTIONS",
            uri,
            Headers(
                [
                    ("Max-Forwards", str(MAX_FORWARDS)),
                    ("From", f"<sip:nets@{self._rules.host}>;tag={secrets.token_hex(8)}"),
                    ("To", f"<{uri}>"),
                    ("Call-ID", secrets.token_hex(12)),
                    ("CSeq", "1 OPTIONS"),
                    ("Contact", f"<{self._rules.contact_to(target)}>"),
                    ("Accept", "application/sdp"),
                ]
            ),
        )

    def _became(self, line: Line, target: Target, after: Health) -> None:
        before = line.health[target].state
        line.health[target] = after
        state = after.state
        if type(state) is not type(before):
            what = _log.info if isinstance(state, Up) else _log.warning
            what("target", trunk=line.trunk.name, target=str(target), state=str(word(state)), why=why(state))
            if isinstance(state, Down):
                self.on_down(line.trunk, target)


def _nothing(trunk: Trunk, target: Target) -> None:
    """Nobody wants to know."""


def _failure(outcome: ClientEvent, trunk: Trunk) -> str | None:
    """What is wrong with a target that has said this to a check; None: nothing."""
    if isinstance(outcome, Response):
        return f"answers {outcome.status}" if outcome.status in {408, *trunk.failures} else None
    return f"unreachable: {outcome.why}" if isinstance(outcome, Unreachable) else "no response"
