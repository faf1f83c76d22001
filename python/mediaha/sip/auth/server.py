"""Judges requests by their credentials (RFC 3261 section 22.2 and 22.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mediaha.sip.auth.digest import MD5, SHA256, Challenge, Credentials, HashedSecret, credentials_untrusted
from mediaha.sip.auth.nonces import Nonces, Use
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request
from mediaha.sip.uri import Uri, uri_untrusted

SecretOf = Callable[[str], HashedSecret | None]
"""The secret of a user by name; None: there is no such user.

Some phones give up when they are merely offered an algorithm that they do not know (baresip 1.0 at SHA-256). Whoever
has such a one gets a secret with the MD5 hash alone; then nothing else is offered.
"""

_NOBODY = HashedSecret.of("", "", "")


def _nobody(_: str) -> HashedSecret:
    return _NOBODY


@dataclass(frozen=True, slots=True)
class Known:
    """It comes from this user. Whether he may do what he asks for is another question."""

    username: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Answer with this status and these headers; the client may come again with (other) credentials."""

    status: int
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """Wrong secret, or no such user: 403, and count it against the source."""

    username: str


Verdict = Known | Unknown | Denied


class Realm:
    """One realm and who is asked to prove himself in it. ``proxy`` asks with 407, else 401 is used."""

    def __init__(
        self,
        name: str,
        nonces: Nonces,
        *,
        algorithms: tuple[str, ...] = (SHA256, MD5),
        proxy: bool = False,
        check_uri: bool = True,
        decoy: Callable[[str], HashedSecret] = _nobody,
    ) -> None:
        """``algorithms`` in order of preference, as they are offered (RFC 8760 section 2.4).

        ``check_uri``: the credentials must be for the Request-URI's user and host. Behind a proxy that rewrites it
        they never are. ``decoy`` is what a name that nobody has is taken for, the same each time: where users have
        different hashes, it should have those of one of them, or such names are offered what no user is.
        """
        self.name = name
        self._nonces = nonces
        self._algorithms = algorithms
        self._proxy = proxy
        self._check_uri = check_uri
        self._decoy = decoy

    def judge(self, request: Request, secret_of: SecretOf, now: float) -> Verdict:
        """Who sent it? Not for ACK and CANCEL, which cannot be asked (section 22.1)."""
        shown = self._shown(request)
        if shown is None:
            claimed = _claimed(request)
            decoy = self._decoy(claimed)
            return self._ask(now, secret_of(claimed) or decoy)
        secret = secret_of(shown.username)
        decoy = self._decoy(shown.username)  # drawn for everybody, as it takes time
        known = secret or decoy
        if not self._nonces.is_ours(shown.nonce):
            # Made before we started, or up by somebody: whether the secret is right stays unsaid, or it could be
            # guessed here without ever being denied.
            return self._ask(now, known, stale=True)
        hashed = known.hashed_with(shown.algorithm)
        if hashed is None:  # he has chosen an algorithm for which we have no hash of his
            return self._ask(now, known)
        # Somebody who is not there takes us as long as somebody who is, so that names cannot be tried out.
        proved = shown.proves(hashed, request.method, request.body) and secret is not None
        if not proved or (self._check_uri and not _same_place(shown.uri, request)):
            return Denied(shown.username)
        # Without qop there is no count: such a nonce is good for a single request.
        use = self._nonces.use(shown.nonce, int(shown.nc, 16) if shown.qop else 1, now)
        return Known(shown.username) if use is Use.NEW else self._ask(now, known, stale=True)

    def _shown(self, request: Request) -> Credentials | None:
        """The credentials for this realm; there may be others for others."""
        for value in request.headers.all("Proxy-Authorization" if self._proxy else "Authorization"):
            try:
                credentials = credentials_untrusted(value)
            except Malformed:
                continue  # as good as none: he is asked again
            if (
                credentials is not None
                and credentials.realm == self.name
                and credentials.algorithm in self._algorithms
                and credentials.qop != "auth-int"
            ):
                return credentials
        return None

    def _ask(self, now: float, secret: HashedSecret | None = None, *, stale: bool = False) -> Unknown:
        """A challenge for each algorithm, of those that a known user has a hash for."""
        challenge = Challenge(self.name, self._nonces.issue(now), qop=("auth",), stale=stale)
        usable = [algorithm for algorithm in self._algorithms if secret is None or secret.hashed_with(algorithm)]
        name = "Proxy-Authenticate" if self._proxy else "WWW-Authenticate"
        headers = [(name, str(replace(challenge, algorithm=algorithm))) for algorithm in usable]
        return Unknown(407 if self._proxy else 401, tuple(headers))


def _claimed(request: Request) -> str:
    """Who it says that it comes from, for what that is worth: the choice of algorithms."""
    try:
        return request.from_.parsed_uri().user or ""
    except Malformed:
        return ""


def _same_place(uri: str, request: Request) -> bool:
    try:
        return _place(uri_untrusted(uri)) == _place(request.request_uri)
    except Malformed:
        return False


def _place(uri: Uri) -> tuple[str | None, str]:
    return uri.user, uri.host
