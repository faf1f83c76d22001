"""Who the users are, and whether a request comes from one of them (RFC 3261 section 22).

A name that nobody has is treated like that of a user: it is asked with the algorithms of one, its credentials are
computed with the hash of one, and what it gets in the end is what a wrong secret gets.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from mediaha.model.user import User
from mediaha.sip.auth.digest import HashedSecret
from mediaha.sip.auth.nonces import Nonces
from mediaha.sip.auth.server import Denied, Known, Realm, Unknown
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import NameAddr
from mediaha.sip.message import Request

Judgement = User | Unknown | Denied | None
"""None: there is nobody who could be asked."""


class _Domain:
    """The users of one domain."""

    def __init__(self, realm: str, users: Sequence[User], nonces: Nonces) -> None:
        self.users = {user.name: user for user in users}
        self._secrets = {user.name: HashedSecret(user.md5, user.sha256) for user in users}
        self._drawn = tuple(self._secrets.values())
        # The same after a restart, and known to nobody: else a name that is offered something else then is nobody's.
        known = repr(sorted((user.name, user.md5, user.sha256) for user in users)).encode()
        self._seed = hashlib.sha256(known).digest()
        self.realm = Realm(realm, nonces, decoy=self._decoy)

    def secret_of(self, name: str) -> HashedSecret | None:
        return self._secrets.get(name)

    def _decoy(self, name: str) -> HashedSecret:
        """That of a user drawn by the name."""
        drawn = hmac.digest(self._seed, name.encode("utf-8", "replace"), "sha256")
        return self._drawn[int.from_bytes(drawn[:8], "big") % len(self._drawn)]


class People:
    """The users of a site. ``seed`` is unguessable: nonces are signed with it."""

    def __init__(self, users: Iterable[User], seed: bytes) -> None:
        self._nonces = Nonces(seed)
        self._domains: dict[str, _Domain] = {}
        self.configure(users)

    def configure(self, users: Iterable[User]) -> None:
        """The users are these from now on. Nonces stay valid."""
        by_domain: dict[str, list[User]] = {}
        for user in users:
            by_domain.setdefault(user.domain, []).append(user)
        self._domains = {name: _Domain(there[0].realm, there, self._nonces) for name, there in by_domain.items()}

    def __len__(self) -> int:
        return sum(len(domain.users) for domain in self._domains.values())

    def user(self, name: str, domain: str | None) -> User | None:
        """The user of this address; without a domain the only one of this name, if there is but one."""
        if domain is None:
            found = [there.users[name] for there in self._domains.values() if name in there.users]
            return found[0] if len(found) == 1 else None
        known = self._domains.get(domain.lower())
        return None if known is None else known.users.get(name)

    def registrant(self, request: Request, now: float) -> Judgement:
        """Whose contacts a REGISTER may change: of the user in its To, who has proved that it is from him."""
        return self._proved(request.to, request, now)

    def caller(self, request: Request, now: float) -> Judgement:
        """Who calls: the user in its From, who has proved it."""
        return self._proved(request.from_, request, now)

    def _proved(self, claimed: NameAddr, request: Request, now: float) -> Judgement:
        try:
            uri = claimed.parsed_uri()
        except Malformed:
            return None
        domain = self._domains.get(uri.host)
        if domain is None:
            return None
        verdict = domain.realm.judge(request, domain.secret_of, now)
        if not isinstance(verdict, Known):
            return verdict
        if uri.username() != verdict.username:
            return Denied(verdict.username)  # one user in the name of another
        return domain.users[verdict.username]
