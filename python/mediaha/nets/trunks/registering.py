"""The registrations of one NeTS at its carriers: sends REGISTER, hears what comes of it. ``registration`` decides."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
import trio

from mediaha.model.trunk import RegistrationView, Trunk
from mediaha.nets.ports import Routes
from mediaha.nets.rules import Rules
from mediaha.nets.trunks import registration as decide
from mediaha.nets.trunks.accounts import cnonce
from mediaha.nets.trunks.registration import Ask, Decision, Registration
from mediaha.nets.trunks.watch import Trunks
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import name_addrs_untrusted
from mediaha.sip.message import MAX_FORWARDS, Headers, Request, Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.clients import TransactionsFull
from mediaha.sip.transaction.events import ClientEvent, Unreachable
from mediaha.sip.uri import Uri, uri_untrusted

LOOK_S = 1.0
"""How often the site, and the health of the targets, is looked at."""
LEAVE_S_MAX = 2.0
"""How long a carrier is waited for that is told that we go."""

_log = structlog.get_logger("trunks")


@dataclass(slots=True)
class _Account:
    """One trunk's registration."""

    trunk: Trunk
    address: Uri
    state: Registration
    call_id: str = field(default_factory=lambda: secrets.token_hex(12))
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    cseq: int = 0


class Registrations:
    """Keeps the carriers that want it informed of where we are."""

    def __init__(self, endpoint: Endpoint, routes: Routes, rules: Rules, trunks: Trunks) -> None:
        self._endpoint = endpoint
        self._routes = routes
        self._rules = rules
        self._trunks = trunks
        self._known: Sequence[Trunk] = ()
        self._accounts: dict[str, _Account] = {}
        self._leaving = 0
        self._left = trio.Event()
        self._gone = False
        self._alarm = trio.CancelScope()

    def views(self) -> tuple[RegistrationView, ...]:
        """Every registration as it is now."""
        return tuple(_view(one) for one in self._accounts.values())

    async def run(self) -> None:
        """Register, and see to it that this lasts, until cancelled or until ``leave``."""
        while not self._gone:
            self._read_site()
            now = time.monotonic()
            for account in self._accounts.values():
                self._look(account, now)
            due = min((decide.wake_at(one.state) for one in self._accounts.values()), default=float("inf"))
            with trio.move_on_after(max(0.0, min(due - time.monotonic(), LOOK_S))) as self._alarm:
                await trio.sleep_forever()

    async def leave(self) -> None:
        """Tell the carriers that no calls are to come any more; waits a little for them to say yes."""
        self._gone = True
        for account in self._accounts.values():
            self._unregister(account)
        with trio.move_on_after(LEAVE_S_MAX):
            while self._leaving:
                self._left = trio.Event()
                await self._left.wait()

    def _read_site(self) -> None:
        wanted = self._routes.trunks
        if wanted is self._known:
            return
        self._known = wanted
        before, now = self._accounts, time.monotonic()
        self._accounts = {}
        for trunk in wanted:
            if trunk.register is None:
                continue
            known = before.get(trunk.name)
            if known is not None and known.trunk.register == trunk.register:
                del before[trunk.name]
                state = known.state
                if trunk.register_s != known.trunk.register_s:
                    state = replace(state, expires_s=trunk.register_s)
                known.trunk, known.state = trunk, decide.at_once(state, now)
                self._accounts[trunk.name] = known
            else:
                state = decide.begin(trunk.register_s, now)
                self._accounts[trunk.name] = _Account(trunk, uri_untrusted(trunk.register), state)
        for gone in before.values():
            self._unregister(gone)

    # Asking

    def _look(self, account: _Account, now: float) -> None:
        trunk, state = account.trunk, account.state
        targets = self._trunks.places(trunk.name)
        if state.bound is not None and targets and self._trunks.is_better(trunk.name, targets[0], state.bound.target):
            state = decide.deserted(state, now)
        self._follow(account, decide.look(state, targets, trunk.try_s_max, now, random.random()))

    def _follow(self, account: _Account, decision: Decision) -> None:
        before, (account.state, ask) = account.state, decision
        after = account.state
        if after.why and after.why != before.why:
            _log.warning("not registered", trunk=account.trunk.name, address=str(account.address), why=after.why)
        if after.bound is not None and (before.bound is None or before.bound.target != after.bound.target):
            _log.info(
                "registered", trunk=account.trunk.name, address=str(account.address), target=str(after.bound.target)
            )
        if ask is not None:
            self._send(account, ask, self._register(account, ask.target, ask.expires_s))

    def _send(self, account: _Account, ask: Ask, request: Request) -> None:
        try:
            self._endpoint.send(request, ask.target, partial(self._told, account, ask, request))
        except TransactionsFull:
            self._failed(account, ask, "our own transactions are full")

    def _told(self, account: _Account, ask: Ask, request: Request, outcome: ClientEvent) -> None:
        if account.state.asking is None or account.state.number != ask.number:
            return
        if not isinstance(outcome, Response):
            why = f"unreachable: {outcome.why}" if isinstance(outcome, Unreachable) else "no response"
            self._failed(account, ask, why)
        elif outcome.status >= 200:
            self._answered(account, ask, request, outcome)
        self._alarm.cancel()

    def _answered(self, account: _Account, ask: Ask, request: Request, response: Response) -> None:
        proved = self._proved(account, ask.target, request, response)
        if proved is not None:
            self._send(account, ask, proved)
        elif response.status < 300:
            expires_s = granted_untrusted(response, request, ask.expires_s)
            if expires_s > 0:
                self._follow(account, (decide.granted(account.state, ask.number, expires_s, time.monotonic()), None))
            else:
                self._failed(account, ask, f"answered {response.status}, and knows us for 0 s")
        elif response.status == 423:
            minimum_s = _seconds_untrusted(response.headers.get("Min-Expires")) or 0
            try_s, now = account.trunk.try_s_max, time.monotonic()
            self._follow(account, decide.too_brief(account.state, ask.number, minimum_s, try_s, now, random.random()))
        else:
            self._failed(account, ask, f"answered {response.status} {response.reason}", response.status)

    def _proved(self, account: _Account, target: Target, request: Request, response: Response) -> Request | None:
        """The request with credentials, when that is what the response asks for."""
        answerer = self._trunks.answerer(account.trunk.name, target)
        proved = answerer.answer(request, response, cnonce()) if answerer is not None else None
        if proved is not None:
            account.cseq = proved.cseq.number
        return proved

    def _failed(self, account: _Account, ask: Ask, why: str, status: int = 0) -> None:
        try_s, now = account.trunk.try_s_max, time.monotonic()
        decision = decide.failed(account.state, ask.number, why, try_s, now, random.random(), status=status)
        self._follow(account, decision)

    # Leaving

    def _unregister(self, account: _Account) -> None:
        bound, asking = account.state.bound, account.state.asking
        target = bound.target if bound is not None else asking.target if asking is not None else None
        account.state = replace(account.state, bound=None, asking=None, due_at=float("inf"), why="left")
        if target is not None:
            self._leaving += 1
            self._say_goodbye(account, target, self._register(account, target, 0))

    def _say_goodbye(self, account: _Account, target: Target, request: Request) -> None:
        def told(outcome: ClientEvent) -> None:
            if isinstance(outcome, Response) and outcome.status < 200:
                return
            proved = self._proved(account, target, request, outcome) if isinstance(outcome, Response) else None
            if proved is not None:
                self._say_goodbye(account, target, proved)
                return
            self._leaving -= 1
            self._left.set()
            _log.info("registration left", trunk=account.trunk.name, address=str(account.address))

        try:
            self._endpoint.send(request, target, told)
        except TransactionsFull:
            self._leaving -= 1

    def _register(self, account: _Account, target: Target, expires_s: int) -> Request:
        account.cseq += 1
        address = account.address
        ours = uri_untrusted(self._rules.contact_to(target))
        contact = Uri(ours.scheme, address.user, ours.host, ours.port, ours.parameters)
        request = Request(
            "REGISTER",
            str(Uri(address.scheme, None, address.host, address.port)),
            Headers(
                [
                    ("Max-Forwards", str(MAX_FORWARDS)),
                    ("From", f"<{address}>;tag={account.tag}"),
                    ("To", f"<{address}>"),
                    ("Call-ID", account.call_id),
                    ("CSeq", f"{account.cseq} REGISTER"),
                    ("Contact", f"<{contact}>"),
                    ("Expires", str(expires_s)),
                ]
            ),
        )
        answerer = self._trunks.answerer(account.trunk.name, target)
        return request if answerer is None else answerer.prove(request, cnonce())


def granted_untrusted(response: Response, request: Request, wanted_s: int) -> int:
    """For how long a 2xx to our REGISTER says that we are known: our own contact's word, or that for all of them."""
    general = _seconds_untrusted(response.headers.get("Expires"))
    try:
        (ours,) = (contact.parsed_uri() for contact in name_addrs_untrusted(request.headers.all("Contact")))
        for contact in name_addrs_untrusted(response.headers.all("Contact")):
            uri = contact.parsed_uri()
            if (uri.user, uri.host.lower(), uri.port) == (ours.user, ours.host.lower(), ours.port):
                said = _seconds_untrusted(contact.parameter("expires"))
                return said if said is not None else wanted_s if general is None else general
    except Malformed:
        pass
    return wanted_s if general is None else general


def _seconds_untrusted(text: str | None) -> int | None:
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None


def _view(account: _Account) -> RegistrationView:
    state = account.state
    bound = state.bound
    return RegistrationView(
        trunk=account.trunk.name,
        address=str(account.address),
        target=str(bound.target) if bound is not None else "",
        registered=bound is not None,
        why=state.why,
        expires_s=max(0.0, bound.until - time.monotonic()) if bound is not None else None,
    )
