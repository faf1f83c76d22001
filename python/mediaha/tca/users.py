"""What the ``[[users]]`` of a site file mean, and the mistakes in them."""

from __future__ import annotations

from collections.abc import Mapping

from mediaha.model.user import User
from mediaha.tca.hashes import HASH_LENGTHS, report_hash
from mediaha.tca.lines import KeyPath
from mediaha.tca.mistakes import did_you_mean
from mediaha.tca.reading import Reading
from mediaha.tca.schema import UserTable

HASH_HINT = "let `mediaha hash-secret NAME@DOMAIN` make it"


def checked_users(reading: Reading) -> tuple[User, ...]:
    """The users that can be used; what is wrong with the others is added to the reading's mistakes."""
    _report_doubles(reading)
    _report_realms(reading)
    return tuple(user for path, table in reading.users if (user := _user(reading, path, table)) is not None)


def user_domains(reading: Reading) -> frozenset[str]:
    """The domains that have users, in lower case; also those of users with a mistake of their own."""
    written = reading.document.get("users", [])
    tables = [table for table in written if isinstance(table, Mapping)] if isinstance(written, list) else []
    return frozenset(str(table.get("domain", "")).lower() for table in tables)


def _user(reading: Reading, path: KeyPath, table: UserTable) -> User | None:
    before = len(reading.mistakes)
    known = {domain.name.lower() for _, domain in reading.domains} | {
        name.lower() for name in reading.unread["domains"]
    }
    if table.domain.lower() not in known and "*" not in known:
        hint = did_you_mean(table.domain, known) or "define it in [[domains]]: its list says who carries their media"
        text = f"user {table.name!r} is of domain {table.domain!r}, which is not defined"
        reading.mistake((*path, "domain"), text, hint)
    if table.md5 is None and table.sha256 is None:
        reading.mistake(path, f"user {table.name!r} has neither 'sha256' nor 'md5'", HASH_HINT)
    for key in HASH_LENGTHS:
        if (written := getattr(table, key)) is not None:
            report_hash(reading, (*path, key), f"user {table.name!r}", written, HASH_HINT)
    if len(reading.mistakes) > before:
        return None
    domain = table.domain.lower()
    return User(
        name=table.name,
        domain=domain,
        realm=table.realm or domain,
        md5=table.md5.lower() if table.md5 else None,
        sha256=table.sha256.lower() if table.sha256 else None,
    )


def _report_doubles(reading: Reading) -> None:
    first: dict[tuple[str, str], KeyPath] = {}
    for path, table in reading.users:
        key = (table.name, table.domain.lower())
        if key in first:
            text = f"user {table.name!r} of {table.domain!r} is defined twice"
            reading.mistake((*path, "name"), text, f"first in line {reading.line((*first[key], 'name'))}")
        first.setdefault(key, path)


def _report_realms(reading: Reading) -> None:
    """Whoever comes is asked in one realm, before it is known who he is: a domain has one."""
    first: dict[str, str] = {}
    for path, table in reading.users:
        domain = table.domain.lower()
        realm = first.setdefault(domain, table.realm or domain)
        if (table.realm or domain) != realm:
            text = f"user {table.name!r} has the realm {table.realm or domain!r}, others of {domain!r} have {realm!r}"
            reading.mistake((*path, "realm"), text, "a domain has one realm; hash the secrets again for it")
