"""The users' phones: takes their REGISTERs, knows where they are, has it written down. Does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
import structlog

from mediaha.model.user import ContactView, User
from mediaha.registrar.contacts import Binding
from mediaha.registrar.people import Judgement, People
from mediaha.registrar.registering import SUPPORTED, Bindings, Limits, current, register
from mediaha.sip.auth.server import Denied, Unknown
from mediaha.sip.fields import split_commas
from mediaha.sip.message import Request
from mediaha.sip.registration import Answer, Contact
from mediaha.sip.target import Target

SWEEP_S = 10.0
"""How often contacts that have expired are looked for; they are not called in between."""
FORBIDDEN = Answer(403)
"""For strangers, wrong secrets and users in others' names alike."""

_log = structlog.get_logger("registrar")


class Notebook(Protocol):
    """Where contacts are written down, by user. Nothing here waits: what cannot be written now is written later."""

    def write(self, user: str, contacts: bytes, until: float) -> None:
        """What is known of the user's contacts from now on; worthless after ``until`` (Unix time)."""
        ...

    def forget(self, user: str) -> None:
        """The user has no contacts any more."""
        ...


class NoNotebook:
    """Contacts are kept in memory only."""

    def write(self, user: str, contacts: bytes, until: float) -> None:
        """Write nothing."""

    def forget(self, user: str) -> None:
        """Forget nothing."""


class Phones:
    """The registrar of one NeTS, given to it as ``phones``."""

    def __init__(self, users: Iterable[User], notebook: Notebook | None = None, limits: Limits | None = None) -> None:
        """``notebook`` is where contacts are written down, nowhere by default."""
        self._people = People(users, secrets.token_bytes(32))
        self._notebook = NoNotebook() if notebook is None else notebook
        self._limits = limits or Limits()
        self._bindings: dict[str, Bindings] = {}
        self._flows: frozenset[Target] | None = frozenset()
        """Where registered phones are; None: to be found out."""
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """How many users there are."""
        return len(self._people)

    def configure(self, users: Iterable[User]) -> None:
        """The users are these from now on. Contacts of those who are gone are forgotten."""
        users = tuple(users)
        self._people.configure(users)
        known = {user.address for user in users}
        for address in self._bindings.keys() - known:
            self._became(address, ())

    # What requests ask

    def register(self, request: Request, flow: Target) -> Answer:
        """Take a REGISTER, and say what to answer."""
        now = time.monotonic()
        self._sweep(now)
        user = self._people.registrant(request, now)
        if not isinstance(user, User):
            return self._unproved(user, request, flow)
        required = [option for value in request.headers.all("Require") for option in split_commas(value)]
        unknown = [option for option in required if option.lower() not in SUPPORTED]
        if unknown:
            return Answer(420, headers=(("Unsupported", ", ".join(unknown)),))
        before = self._bindings.get(user.address, ())
        after, answer = register(before, request, flow, now, self._limits)
        if after != before:
            self._became(user.address, after)
            tell = _log.debug if _places(after) == _places(before) else _log.info
            tell("registered", user=user.address, contacts=len(after), source=str(flow))
        elif answer.status != 200:
            _log.info("registration failed", user=user.address, status=answer.status, source=str(flow))
        return answer

    def caller(self, request: Request, flow: Target) -> User | Answer:
        """The user who calls, or what to answer to whoever it is."""
        user = self._people.caller(request, time.monotonic())
        return user if isinstance(user, User) else self._unproved(user, request, flow)

    def find(self, name: str, domain: str | None) -> User | None:
        """The user of this address; without a domain, the only one of this name."""
        return self._people.user(name, domain)

    def contacts(self, user: User) -> tuple[Contact, ...]:
        """Where a user can be called, the preferred first."""
        there = current(self._bindings.get(user.address, ()), time.monotonic())
        return tuple(binding.contact() for binding in sorted(there, key=lambda binding: -binding.q))

    def are_at(self, flow: Target) -> bool:
        """Whether a phone has registered by this way."""
        if self._flows is None:
            self._flows = frozenset(binding.flow for known in self._bindings.values() for binding in known)
        return flow in self._flows

    def views(self, is_open: Callable[[Target], bool]) -> tuple[ContactView, ...]:
        """All contacts as they are now; ``is_open`` says whether a connection is there."""
        now = time.monotonic()
        self._sweep(now)
        return tuple(
            ContactView(
                user=address,
                contact=binding.uri,
                source=str(binding.flow),
                agent=binding.agent,
                q=binding.q,
                expires_s=binding.expires_at - now,
                connected=is_open(binding.flow),
            )
            for address, known in sorted(self._bindings.items())
            for binding in known
        )

    def _unproved(self, judgement: Judgement, request: Request, flow: Target) -> Answer:
        if isinstance(judgement, Unknown):
            return Answer(judgement.status, headers=judgement.headers)
        if isinstance(judgement, Denied):
            _log.warning("credentials refused", user=judgement.username, method=request.method, source=str(flow))
        return FORBIDDEN

    # What becomes of contacts

    def _became(self, address: str, bindings: Bindings) -> None:
        self._flows = None
        if not bindings:
            self._bindings.pop(address, None)
            self._notebook.forget(address)
            return
        self._bindings[address] = bindings
        # Another process has another monotonic clock: times are written as those of the world.
        offset = time.time() - time.monotonic()
        written = tuple(
            msgspec.structs.replace(binding, expires_at=binding.expires_at + offset) for binding in bindings
        )
        until = max(binding.expires_at for binding in written)
        self._notebook.write(address, msgspec.json.encode(written), until)

    def remember(self, written: Mapping[str, bytes]) -> None:
        """Take contacts that an earlier process has written down. Connections that they came by are gone."""
        offset = time.time() - time.monotonic()
        for address, text in written.items():
            name, _, domain = address.rpartition("@")
            try:
                found = msgspec.json.decode(text, type=tuple[Binding, ...])
            except msgspec.DecodeError as error:
                _log.warning("contacts that cannot be read are forgotten", user=address, why=str(error))
                continue
            if self._people.user(name, domain) is None:
                continue
            ours = tuple(_without_connection(binding, offset) for binding in found)
            there = current(ours, time.monotonic())[: self._limits.contacts_max]
            if there and address not in self._bindings:
                self._bindings[address] = there
        self._flows = None
        count = sum(map(len, self._bindings.values()))
        if count:
            _log.info("contacts remembered", users=len(self._bindings), contacts=count)

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_S
        for address, bindings in list(self._bindings.items()):
            left = current(bindings, now)
            if left is not bindings:
                _log.info("contacts expired", user=address, contacts=len(left))
                self._became(address, left)


def _places(bindings: Bindings) -> set[tuple[str, Target]]:
    return {(binding.uri, binding.flow) for binding in bindings}


def _without_connection(binding: Binding, offset: float) -> Binding:
    flow = binding.flow
    if flow.connection:
        # The number may soon be that of somebody else's connection.
        flow = flow._replace(connection=-1)
    return msgspec.structs.replace(binding, flow=flow, expires_at=binding.expires_at - offset)
