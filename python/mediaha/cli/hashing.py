"""``mediaha hash-secret``: a ``[[users]]`` table with the hashes of a secret that is shown nowhere."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from mediaha.model.errors import MediahaError

SECRET_LENGTH_MAX = 1024


class NotHashed(MediahaError):
    """There is no user, or no secret, to hash."""


def hash_secret(
    user: str,
    /,
    *,
    realm: str | None = None,
    sha256: Annotated[bool, Parameter()] = True,
    md5: Annotated[bool, Parameter()] = True,
) -> int:
    """Hash a user's secret, for the site file.

    The secret is asked for on the terminal, twice, without being shown; when there is no terminal it is the first line
    of standard input. It is never an argument: arguments can be read by everybody on the machine.

    Examples:

    * mediaha hash-secret anna@example.test >> site.toml

    * pass show phones/anna | mediaha hash-secret anna@example.test --no-sha256

    Parameters
    ----------
    user
        NAME@DOMAIN, the user's address.
    realm
        The realm that the phone is asked in. Default: the domain.
    sha256
        Make the SHA-256 hash.
    md5
        Make the MD5 hash, for phones that know no better.
    """
    from mediaha.sip.auth.digest import HashedSecret

    name, _, domain = user.rpartition("@")
    if not name or not domain:
        raise NotHashed(f"{user!r} is no address of a user; write NAME@DOMAIN")
    if not (sha256 or md5):
        raise NotHashed("without sha256 and md5 there is nothing to make")
    realm = realm or domain.lower()
    hashed = HashedSecret.of(name, realm, _secret(user))
    entries = {"name": name, "domain": domain, "realm": realm}
    if sha256 and hashed.sha256:
        entries["sha256"] = hashed.sha256
    if md5 and hashed.md5:
        entries["md5"] = hashed.md5
    print("\n[[users]]")
    for key, value in entries.items():
        print(f"{key} = {_quoted(value)}")
    return 0


def _secret(user: str) -> str:
    if not sys.stdin.isatty():
        secret = sys.stdin.readline(SECRET_LENGTH_MAX + 2).rstrip("\r\n")
    else:
        from getpass import getpass

        secret = getpass(f"Secret of {user}: ", sys.stderr)
        if getpass("The same again: ", sys.stderr) != secret:
            raise NotHashed("these are two different secrets")
    if not secret:
        raise NotHashed("the secret is empty")
    if len(secret) > SECRET_LENGTH_MAX:
        raise NotHashed(f"the secret is longer than {SECRET_LENGTH_MAX} characters")
    return secret


def _quoted(text: str) -> str:
    """TOML writes such strings as JSON does."""
    import json

    return json.dumps(text, ensure_ascii=False)
