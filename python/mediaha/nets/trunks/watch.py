"""The trunks of one NeTS: asks each target whether it is alive, says where a call may go. Does; ``health`` decides."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypedDict

import structlog
import trio
from msgspec import structs

from mediaha.model.address import Address
from mediaha.model.site import Domain
from mediaha.model.trunk import Redirects, TargetView, Trunk, TrunkState
from mediaha.nets.destination import Destination, plain
from mediaha.nets.headers import seconds_of
from mediaha.nets.ports import Routes
from mediaha.nets.rules import Rules
from mediaha.nets.trunks import health as decide
from mediaha.nets.trunks.accounts import Accounts, cnonce
from mediaha.nets.trunks.health import Down, Health, Suspect, Up
from mediaha.nets.trunks.order import in_order
from mediaha.sip.auth.client import Answerer
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.message import MAX_FORWARDS, Headers, Request, Response
from mediaha.sip.resolve.locate import NotLocated, literal_target
from mediaha.sip.resolve.records import AAAA, A
from mediaha.sip.resolve.resolver import Resolver
from mediaha.sip.target import Target
from mediaha.sip.transaction.clients import TransactionsFull
from mediaha.sip.transaction.events import ClientEvent, Unreachable
from mediaha.sip.uri import uri_untrusted

LOOK_S = 1.0
"""How often the site is looked at for trunks that are new or gone."""
RESOLVE_S = 30.0
"""How often names are looked up anew, however long the DNS allows an answer to be used."""
RESOLVE_AGAIN_S = 5.0
"""The same while a name has not been found."""

OWN = ""
"""No trunk is called so."""
LATE_S = 0.2
"""So much later than planned, time has passed in which this process did not run."""

_log = structlog.get_logger("trunks")


class _Ways(TypedDict):
    """What the resolver must know of us."""

    transports: list[str]
    kinds: list[str]


@dataclass(slots=True)
class _Line:
    """One configured target: a URI, and the addresses that it stands for, each with its health."""

    trunk: Trunk
    uri: str
    found: dict[Target, Destination] = field(default_factory=dict)
    health: dict[Target, Health] = field(default_factory=dict)
    resolve_at: float = float("inf")
    why: str = ""
    """Why there is no address."""


class Trunks:
    """Where calls may go, and how well each of these places is."""

    def __init__(self, endpoint: Endpoint, routes: Routes, rules: Rules, name_servers: Sequence[Address] = ()) -> None:
        """``name_servers`` are asked for names; none: those of the machine."""
        self.on_down: Callable[[Trunk, Target], None] = _nothing
        """Called when a target is believed to be down from now on."""
        self._endpoint = endpoint
        self._routes = routes
        self._rules = rules
        self._resolver: Resolver | None = None
        self._name_servers = name_servers
        self._known: tuple[Sequence[Trunk], Sequence[Domain]] = ((), ())
        self._lines: dict[str, list[_Line]] = {}
        """By the trunk's name; under ``OWN`` the URIs that domains name themselves."""
        self._accounts = Accounts()
        self._hosts: frozenset[str] | None = None
        """None: to be put together anew."""
        self._alarm = trio.CancelScope()

    def destinations(self, domain: Domain) -> tuple[Destination, ...]:
        """Where a call of this domain may go, in the order in which it is tried; none: nobody knows where."""
        self._read_site()
        now = time.monotonic()
        listed = [destination for name in domain.trunks for destination in self._listed(name)]
        for target in domain.targets:
            listed += [plain(target)] if isinstance(target, Address) else self._listed(OWN, target)
        ordered = in_order(listed, lambda destination: decide.rank(self._health(destination), now))
        doubts = [decide.doubt(self._health(destination), now) for destination in ordered]
        if not any(doubts):
            return ordered
        return tuple(structs.replace(one, doubt=doubt) for one, doubt in zip(ordered, doubts, strict=True))

    def heard(self, destination: Destination, failure: str | None, retry_after: str | None = None) -> None:
        """What a call has met at a destination; ``failure`` is None when it has answered in any way."""
        line = self._line(destination)
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
        self._read_site()
        now = time.monotonic()
        ordered = in_order(self._listed(trunk), lambda destination: decide.rank(self._health(destination), now))
        return tuple(destination.target for destination in ordered)

    def is_better(self, trunk: str, one: Target, other: Target) -> bool:
        """Whether the other target of a trunk is down, or is none any more, while the one is there."""
        self._read_site()
        known = {target: health for line in self._lines.get(trunk, ()) for target, health in line.health.items()}
        down = other not in known or isinstance(known[other].state, Down)
        return down and one in known and not isinstance(known[one].state, Down)

    def trunk_at(self, flow: Target) -> str:
        """The trunk by which something has come, by the host that it has come from; empty: none."""
        return next((line.trunk.name for line in self._lines_at(flow)), "")

    def trusts(self, flow: Target) -> bool:
        """Whether what has come from there may be believed: not if it may have come by a trunk that is not trusted.

        Several trunks may lead to one host; then the port tells, unless it is none of theirs.
        """
        lines = self._lines_at(flow)
        exact = [line for line in lines if flow[:2] in {target[:2] for target in line.found}]
        return all(line.trunk.trusted for line in exact or lines)

    def _lines_at(self, flow: Target) -> list[_Line]:
        self._read_site()
        host = flow.address.host
        lines = (line for lines in self._lines.values() for line in lines)
        return [line for line in lines if any(one.address.host == host for one in line.found)]

    def answerer(self, trunk: str, target: Target) -> Answerer | None:
        """Who says there who we are; None: nobody can."""
        return self._accounts.answerer(trunk, target.address.host)

    def views(self) -> tuple[TargetView, ...]:
        """Every target as it is now."""
        self._read_site()
        return tuple(view for lines in self._lines.values() for line in lines for view in _views(line))

    def hosts(self) -> frozenset[str]:
        """The IP addresses of all targets, as far as they are known: of trunks, and of domains themselves."""
        self._read_site()
        if self._hosts is None:
            self._hosts = self._found_hosts()
        return self._hosts

    def names(self) -> frozenset[str]:
        """The hosts of their URIs, in lower case: what their certificates are made out to."""
        self._read_site()
        return frozenset(uri_untrusted(line.uri).host for lines in self._lines.values() for line in lines)

    def _found_hosts(self) -> frozenset[str]:
        found = {target.address.host for lines in self._lines.values() for line in lines for target in line.found}
        own = (target.host for domain in self._known[1] for target in domain.targets if isinstance(target, Address))
        return frozenset(found.union(own))

    async def run(self) -> None:
        """Check targets and look names up until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._read_site()
                now = time.monotonic()
                for line in [line for lines in self._lines.values() for line in lines]:
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
        lines = [line for lines in self._lines.values() for line in lines]
        due = [decide.wake_at(one, line.trunk) for line in lines for one in line.health.values()]
        due += [line.resolve_at for line in lines]
        return max(0.0, min(min(due, default=float("inf")) - time.monotonic(), LOOK_S))

    # The site

    def _read_site(self) -> None:
        """Take what the site says now; what stays as it was keeps what is believed of it."""
        trunks, domains = self._routes.trunks, self._routes.domains
        if trunks is self._known[0] and domains is self._known[1]:
            return
        before = {(line.trunk.name, line.uri): line for lines in self._lines.values() for line in lines}
        self._known = (trunks, domains)
        self._accounts.read(trunks)
        self._hosts = None
        self._lines = {}
        for trunk in (*trunks, _own_targets(domains, self._rules.limits.target_s_max)):
            lines = [self._new(trunk, uri, before.get((trunk.name, uri))) for uri in trunk.targets]
            self._lines[trunk.name] = lines
        self._trust_them()
        self._alarm.cancel()

    def _new(self, trunk: Trunk, uri: str, before: _Line | None) -> _Line:
        if before is not None:
            # It stays the same line, so that what is asked at this moment is still heard.
            before.trunk = trunk
            self._found(before, tuple(before.found))
            return before
        line = _Line(trunk, uri)
        literal = literal_target(uri_untrusted(uri))
        if literal is not None:
            self._found(line, (literal,))
        else:
            line.resolve_at = 0.0
        return line

    def _trust_them(self) -> None:
        """Whom we send calls to may send us as much as they like."""
        guard = self._endpoint.guard
        if guard is not None:
            guard.trust(self.hosts())

    # Names

    async def _resolve(self, line: _Line) -> None:
        try:
            self._resolver = self._resolver or Resolver(self._name_servers)
            targets = await self._resolver.targets(uri_untrusted(line.uri), **self._ways())
        except (NotLocated, OSError) as error:
            # What was found before is still the best that there is.
            before, line.why = line.why, str(error)
            if line.why != before:  # it is asked every few seconds
                _log.warning("target not found", trunk=line.trunk.name, target=line.uri, why=line.why)
        else:
            line.why = ""
            line.resolve_at = time.monotonic() + RESOLVE_S
            self._found(line, targets)
            self._trust_them()
        self._alarm.cancel()

    def _ways(self) -> _Ways:
        """The transports and address families that our listeners reach."""
        places = self._endpoint.places
        families = {place.ipv6 for place in places}
        return {
            "transports": list(dict.fromkeys(place.transport for place in places)),
            "kinds": [kind for kind, ipv6 in ((A, False), (AAAA, True)) if ipv6 in families],
        }

    def _found(self, line: _Line, targets: Iterable[Target]) -> None:
        trunk, now = line.trunk, time.monotonic()
        self._hosts = None
        line.found = {
            target: Destination(
                target=target,
                uri=line.uri,
                trunk=trunk.name,
                try_s_max=trunk.try_s_max,
                failures=trunk.failures,
                trusted=trunk.trusted,
                history=trunk.history,
                follows=trunk.redirects is Redirects.FOLLOW,
            )
            for target in targets
        }
        fresh = {target: decide.begin(now, secrets.randbelow(1000) / 1000, trunk) for target in line.found}
        line.health = {target: line.health.get(target, new) for target, new in fresh.items()}

    # Checks

    def _look(self, line: _Line, now: float) -> None:
        for target, before in list(line.health.items()):
            after, ask = decide.look(before, line.trunk, now)
            if after is not before:
                self._became(line, target, after)
            if ask:
                self._ask(line, target, after.asked)

    def _ask(self, line: _Line, target: Target, asked: int) -> None:
        answerer = self.answerer(line.trunk.name, target)
        request = self._options(line.uri, target)
        self._send(line, target, asked, request if answerer is None else answerer.prove(request, cnonce()))

    def _send(self, line: _Line, target: Target, asked: int, request: Request) -> None:
        told = partial(self._told, line, target, asked, request)
        try:
            self._endpoint.send(request, target, told)
        except TransactionsFull:
            # That is our own trouble, and says nothing about the target.
            line.health[target] = decide.not_asked(line.health[target], line.trunk, time.monotonic())

    def _told(self, line: _Line, target: Target, asked: int, request: Request, outcome: ClientEvent) -> None:
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

    def _became(self, line: _Line, target: Target, after: Health) -> None:
        before = line.health[target].state
        line.health[target] = after
        state = after.state
        if type(state) is not type(before):
            what = _log.info if isinstance(state, Up) else _log.warning
            what("target", trunk=line.trunk.name, target=str(target), state=str(_word(state)), why=_why(state))
            if isinstance(state, Down):
                self.on_down(line.trunk, target)

    # Looking things up

    def _listed(self, name: str, uri: str | None = None) -> list[Destination]:
        lines = [line for line in self._lines.get(name, ()) if uri in {None, line.uri}]
        return [destination for line in lines for destination in self._drawn(line)]

    def _drawn(self, line: _Line) -> Iterable[Destination]:
        """What the line stands for, in an order drawn anew: each call is a draw of its own (weights, RFC 2782)."""
        if len(line.found) > 1 and self._resolver is not None:
            targets = self._resolver.remembered(uri_untrusted(line.uri), **self._ways())
            if targets is not None:
                first = {target: line.found[target] for target in targets if target in line.found}
                return {**first, **line.found}.values()
        return line.found.values()

    def _line(self, destination: Destination) -> _Line | None:
        for line in self._lines.get(destination.trunk, ()):
            if destination.target in line.health:
                return line
        return None

    def _health(self, destination: Destination) -> Health | None:
        line = self._line(destination)
        return line.health[destination.target] if line is not None else None


def _own_targets(domains: Iterable[Domain], try_s_max: float) -> Trunk:
    """What the domains name themselves by URI, as the targets of a trunk that nobody checks."""
    uris = (target for domain in domains for target in domain.targets if isinstance(target, str))
    return Trunk(OWN, tuple(dict.fromkeys(uris)), check_s=0, try_s_max=try_s_max)


def _nothing(trunk: Trunk, target: Target) -> None:
    """Nobody wants to know."""


def _failure(outcome: ClientEvent, trunk: Trunk) -> str | None:
    """What is wrong with a target that has said this to a check; None: nothing."""
    if isinstance(outcome, Response):
        return f"answers {outcome.status}" if outcome.status in {408, *trunk.failures} else None
    return f"unreachable: {outcome.why}" if isinstance(outcome, Unreachable) else "no response"


def _views(line: _Line) -> Iterable[TargetView]:
    if line.trunk.name == OWN and line.found:
        return  # nobody checks them: there is nothing to tell
    if not line.found:
        yield TargetView(line.trunk.name, line.uri, "", TrunkState.UNKNOWN, line.why, time.monotonic())
    for target in line.found:
        state = line.health[target].state
        yield TargetView(line.trunk.name, line.uri, str(target), _word(state), _why(state), state.since)


def _word(state: decide.State) -> TrunkState:
    if isinstance(state, Up):
        return TrunkState.UP if state.heard else TrunkState.UNKNOWN
    return TrunkState.SUSPECT if isinstance(state, Suspect) else TrunkState.DOWN


def _why(state: decide.State) -> str:
    return "" if isinstance(state, Up) else state.why
