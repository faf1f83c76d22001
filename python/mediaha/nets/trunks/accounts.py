"""Our accounts at carriers that ask who we are: the secrets are read, and each target's questions are answered."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence

import structlog

from mediaha.model.trunk import Credentials, Trunk
from mediaha.sip.auth.client import Account, Answerer
from mediaha.sip.auth.digest import HashedSecret, Password

SECRET_BYTES_MAX = 4096
TARGETS_MAX = 256
"""Hosts whose last question is remembered, by trunk; beyond it all are asked for a new one."""

_log = structlog.get_logger("trunks")


class Accounts:
    """By trunk. A secret is read when the site is, and never shown."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._answerers: dict[tuple[str, str], Answerer] = {}
        """By trunk and host: each has nonces of its own."""

    def read(self, trunks: Sequence[Trunk]) -> None:
        """Take what these trunks say, and read their secrets anew."""
        found = {}
        for trunk in trunks:
            if trunk.credentials is None:
                continue
            try:
                found[trunk.name] = _account(trunk.credentials)
            except OSError as error:
                why = f"{error.strerror}: {error.filename}" if error.filename else str(error)
                _log.error("no secret: the carrier's questions stay unanswered", trunk=trunk.name, why=why)
        self._answerers = {
            key: answerer for key, answerer in self._answerers.items() if found.get(key[0]) == answerer.account
        }
        self._accounts = found

    def answerer(self, trunk: str, host: str) -> Answerer | None:
        """Who answers questions that this host asks in the name of a trunk; None: nobody."""
        account = self._accounts.get(trunk)
        if account is None:
            return None
        answerer = self._answerers.get((trunk, host))
        if answerer is None:
            if len(self._answerers) >= TARGETS_MAX:
                self._answerers.clear()
            answerer = self._answerers[trunk, host] = Answerer(account)
        return answerer


def cnonce() -> str:
    """Text that nobody can guess, for credentials."""
    return secrets.token_hex(8)


def _account(credentials: Credentials) -> Account:
    """Raises OSError when the secret cannot be read."""
    username, realm = credentials.username, credentials.realm
    if credentials.md5 is not None or credentials.sha256 is not None:
        return Account(username, realm, HashedSecret(credentials.md5, credentials.sha256))
    text = _secret(credentials)
    return Account(username, realm, HashedSecret.of(username, realm, text) if realm is not None else Password(text))


def _secret(credentials: Credentials) -> str:
    if credentials.secret_file is not None:
        with credentials.secret_file.open("rb") as opened:
            content = opened.read(SECRET_BYTES_MAX + 1)
        if len(content) > SECRET_BYTES_MAX:
            raise OSError(f"{credentials.secret_file} is larger than {SECRET_BYTES_MAX} bytes, so it is no secret")
        # Editors end a file with a line end, which belongs to nobody's secret.
        text = content.decode("utf-8", "replace").partition("\n")[0].rstrip("\r")
        said = f"{credentials.secret_file} has no secret in its first line"
    else:
        text = os.environ.get(credentials.secret_env or "", "")
        said = f"the environment has no {credentials.secret_env}"
    if not text:
        raise OSError(said)
    return text
