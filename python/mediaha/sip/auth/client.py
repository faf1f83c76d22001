"""Answers challenges for an account of ours at somebody else's (RFC 3261 section 22, RFC 7616 section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mediaha.sip.auth.digest import (
    Challenge,
    Credentials,
    HashedSecret,
    Password,
    challenge_untrusted,
    credentials_untrusted,
)
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request, Response

_FIELDS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
_QOPS = frozenset({"auth", "auth-int"})
NC_MAX = 0xFFFF_FFFF
STALE_IN_ROW_MAX = 2
"""A server that calls each fresh nonce stale is asked no more often than that."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are to them. A hashed secret is good for its realm alone; a password for any that asks."""

    username: str
    realm: str | None
    """The realm that is answered; None: whichever asks."""
    secret: HashedSecret | Password

    def hashed(self, challenge: Challenge) -> str | None:
        """What answers a challenge; None: we have nothing for its realm or algorithm."""
        if self.realm is not None and challenge.realm != self.realm:
            return None
        secret = self.secret
        if isinstance(secret, Password):
            secret = secret.hashed(self.username, challenge.realm)
        return secret.hashed_with(challenge.algorithm)


@dataclass(slots=True)
class _Session:
    """The last challenge, and how often it was answered."""

    challenge: Challenge
    secret: str = field(repr=False)
    """What answers it."""
    stale_in_row: int = 0
    """How many nonces in a row were called stale at their first use."""
    count: int = 0


class Answerer:
    """The client's side of one account. Remembers the last challenge, so that the next request needs none."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._sessions: dict[str, _Session] = {}
        """By the header that they go into: at most one for registrars and one for proxies."""

    def answer(self, request: Request, response: Response, cnonce: str) -> Request | None:
        """The request to send after a 401 or 407 to it; None when there is no answer, or it was given in vain.

        ``request`` is as it was given to the endpoint, without Via. Its CSeq number is one higher (section 22.2):
        in a dialog, that is for the dialog to count. ``cnonce`` is fresh unguessable text.
        """
        names = _FIELDS.get(response.status)
        if names is None:
            return None
        asks, answers = names
        challenge = self._best(response.headers.all(asks))
        if challenge is None:
            return None
        stale_in_row = 0
        shown = self._shown(request, answers)
        session = self._sessions.get(answers)
        if shown is not None and session is not None and (shown.nonce == challenge.nonce or _is_first(shown, session)):
            # These credentials were made for the very last challenge. If they were not right then, they never are.
            stale_in_row = session.stale_in_row + 1
            if not challenge.stale or stale_in_row > STALE_IN_ROW_MAX:
                return None
        self._sessions[answers] = _Session(challenge, self.account.hashed(challenge) or "", stale_in_row)
        cseq = request.cseq
        return self.prove(
            request.with_headers(request.headers.with_replaced("CSeq", f"{cseq.number + 1} {cseq.method}")), cnonce
        )

    def prove(self, request: Request, cnonce: str) -> Request:
        """The request with credentials for what was asked for last; as it is when nothing was.

        For each request to that realm but CANCEL; an ACK has the credentials of its INVITE (section 22.1).
        """
        headers = request.headers
        for name, session in self._sessions.items():
            session.count = min(session.count + 1, NC_MAX)
            others = [value for value in headers.all(name) if not self._is_mine(value)]
            mine = str(self._credentials(request, session, cnonce))
            headers = headers.without(name).with_added([(name, value) for value in (*others, mine)])
        return request.with_headers(headers)

    def _best(self, values: list[str]) -> Challenge | None:
        """The challenge that we can answer; of several the one with the strongest algorithm."""
        found: list[Challenge] = []
        for value in values:
            try:
                challenge = challenge_untrusted(value)
            except Malformed:
                continue
            if (
                challenge is not None
                and self.account.hashed(challenge)
                and (not challenge.qop or not _QOPS.isdisjoint(challenge.qop))
            ):
                found.append(challenge)
        return max(found, key=lambda challenge: challenge.algorithm, default=None)

    def _shown(self, request: Request, field: str) -> Credentials | None:
        """What the request had of ours."""
        mine = (value for value in request.headers.all(field) if self._is_mine(value))
        value = next(mine, None)
        return None if value is None else _read(value)

    def _is_mine(self, value: str) -> bool:
        shown = _read(value)
        account = self.account
        return shown is not None and shown.username == account.username and account.realm in {None, shown.realm}

    def _credentials(self, request: Request, session: _Session, cnonce: str) -> Credentials:
        challenge = session.challenge
        qop = ("auth" if "auth" in challenge.qop else "auth-int") if challenge.qop else None
        credentials = Credentials(
            username=self.account.username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            uri=request.uri,
            response="",
            algorithm=challenge.algorithm,
            session=challenge.session,
            opaque=challenge.opaque,
            qop=qop,
            nc=f"{session.count:08x}" if qop else "",
            cnonce=cnonce if qop or challenge.session else "",
        )
        return replace(credentials, response=credentials.expected(session.secret, request.method, request.body))


def shown_in(request: Request) -> tuple[tuple[str, str], ...]:
    """The credentials in a request: the ACK of its 2xx shows the same (RFC 3261 section 22.1)."""
    return tuple(request.headers.pairs(*(name for _, name in _FIELDS.values())))


def _is_first(shown: Credentials, session: _Session) -> bool:
    """Whether they were the first use of their nonce, and not one in advance with a nonce of old."""
    return int(shown.nc, 16) == 1 if shown.nc else session.count <= 1


def _read(value: str) -> Credentials | None:
    try:
        return credentials_untrusted(value)
    except Malformed:
        return None
