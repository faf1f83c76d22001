"""From the text of a site file to its tables, collecting every mistake of spelling and type on the way.

msgspec stops at the first mistake; people who write a site file want all of them. So each table is taken key by
key, msgspec judges the single values, and a table that has a mistake is left out of the result.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mediaha.tca.lines import KeyPath, line_of, positions
from mediaha.tca.mistakes import Mistake, closest, did_you_mean
from mediaha.tca.schema import (
    DnsTable,
    DomainTable,
    HostTable,
    MediaTable,
    NetsTable,
    SipTable,
    SiteTable,
    TimingsTable,
    TrunkTable,
    UserTable,
)

TEXT_BYTES_MAX = 1 << 20

_LISTS: dict[str, type[msgspec.Struct]] = {
    "hosts": HostTable,
    "media": MediaTable,
    "nets": NetsTable,
    "trunks": TrunkTable,
    "domains": DomainTable,
    "users": UserTable,
}

Table = TypeVar("Table", bound=msgspec.Struct)


class Reading:
    """The tables of one site file, each with its path, and the mistakes found so far."""

    def __init__(self, text: str, folder: Path = Path()) -> None:
        """``folder`` is where the file is: the paths in it begin there."""
        self.folder = folder
        self.mistakes: list[Mistake] = []
        self.hosts: list[tuple[KeyPath, HostTable]] = []
        self.media: list[tuple[KeyPath, MediaTable]] = []
        self.nets: list[tuple[KeyPath, NetsTable]] = []
        self.trunks: list[tuple[KeyPath, TrunkTable]] = []
        self.domains: list[tuple[KeyPath, DomainTable]] = []
        self.users: list[tuple[KeyPath, UserTable]] = []
        self.timings = TimingsTable()
        self.sip = SipTable()
        self.dns = DnsTable()
        self.name = "site"
        self.state: str | None = None
        self.unread: dict[str, set[str]] = {kind: set() for kind in _LISTS}
        """Names of tables left out for a mistake of their own, so that references to them are not mistakes too."""
        self.document: dict[str, Any] = {}
        self.lines: dict[KeyPath, int] = {}
        self._read(text)

    def line(self, path: KeyPath) -> int:
        return line_of(self.lines, path)

    def mistake(self, path: KeyPath, text: str, hint: str | None = None, *, warning: bool = False) -> None:
        self.mistakes.append(Mistake(self.line(path), text, hint, warning))

    def _read(self, text: str) -> None:
        try:
            self.document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.mistakes.append(_syntax_mistake(error, text))
            return
        except RecursionError:
            self.mistakes.append(Mistake(0, "values are nested too deeply"))
            return
        self.lines = positions(text)
        for key in self.document.keys() - set(SiteTable.__struct_fields__):
            self.mistake((key,), f"unknown key {key!r}", did_you_mean(key, SiteTable.__struct_fields__))
        self.hosts = self._tables("hosts", HostTable)
        self.media = self._tables("media", MediaTable)
        self.nets = self._tables("nets", NetsTable)
        self.trunks = self._tables("trunks", TrunkTable)
        self.domains = self._tables("domains", DomainTable)
        self.users = self._tables("users", UserTable)
        self.timings = self._table(("timings",), self.document.get("timings", {}), TimingsTable) or self.timings
        self.sip = self._table(("sip",), self.document.get("sip", {}), SipTable) or self.sip
        self.dns = self._table(("dns",), self.document.get("dns", {}), DnsTable) or self.dns
        if "name" in self.document:
            self.name = str(self._value(("name",), self.document["name"], SiteTable, "name") or self.name)
        if "state" in self.document:
            state = self._value(("state",), self.document["state"], SiteTable, "state")
            self.state = state if isinstance(state, str) else None

    def _tables(self, kind: str, type_: type[Table]) -> list[tuple[KeyPath, Table]]:
        """Every element of ``[[kind]]`` that can be used."""
        written = self.document.get(kind, [])
        if isinstance(written, Mapping):
            self.mistake((kind,), f"[{kind}] is a list of tables", f"write [[{kind}]] with a name in it")
            return []
        if not isinstance(written, list):
            self.mistake((kind,), f"{kind!r} is a list of tables", f"write [[{kind}]] and the keys below it")
            return []
        found: list[tuple[KeyPath, Table]] = []
        for index, values in enumerate(written):
            path: KeyPath = (kind, index)
            if (table := self._table(path, values, type_)) is not None:
                found.append((path, table))
            elif isinstance(values, Mapping) and isinstance(values.get("name"), str):
                self.unread[kind].add(values["name"])
        return found

    def _table(self, path: KeyPath, values: object, type_: type[Table]) -> Table | None:
        """One table; None when anything in it is wrong."""
        kind = str(path[0])
        if not isinstance(values, Mapping):
            self.mistake(path, f"{_example(values)} stands where a table belongs", f"write [[{kind}]] tables")
            return None
        before = len(self.mistakes)
        known = type_.__struct_fields__
        meant = set()
        for key in values:
            if key not in known:
                self.mistake(
                    (*path, key), f"unknown key {key!r} in {kind}", PLAIN.get((kind, key)) or did_you_mean(key, known)
                )
                meant.add(closest(key, known))
        for field in _fields(type_):
            if field.name in values:
                self._value((*path, field.name), values[field.name], type_, field.name)
            elif field.required and field.name not in meant:
                self.mistake(path, f"{_called(kind, values)} has no {field.name!r}", EXAMPLES.get((kind, field.name)))
        if len(self.mistakes) > before:
            return None
        return msgspec.convert(values, type_)

    def _value(self, path: KeyPath, value: object, type_: type[msgspec.Struct], field: str) -> object:
        """The value as its field's type; None, and a mistake, when it is of another."""
        wanted = next(known for known in _fields(type_) if known.name == field)
        try:
            return msgspec.convert(value, wanted.type)
        except msgspec.ValidationError as error:
            text, deeper = _plain(error)
            self.mistake((*path, *deeper), f"{field!r}: {text}, found {_example(value)}")
            return None


@lru_cache(maxsize=32)
def _fields(type_: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Finding them out takes msgspec half a millisecond; a site may have thousands of users."""
    return msgspec.structs.fields(type_)


EXAMPLES = {
    ("hosts", "name"): 'like name = "alpha"',
    ("media", "name"): 'like name = "media-1"',
    ("nets", "name"): 'like name = "nets-1"',
    ("nets", "host"): "name one of the [[hosts]]",
    ("domains", "name"): 'like name = "example.test", or "*" for every domain that no other table names',
    ("domains", "media"): 'list the media servers in the order to try them, like media = ["media-1", "media-2"]',
    ("users", "name"): 'like name = "anna"',
    ("users", "domain"): 'like domain = "example.test", one of the [[domains]]',
    ("trunks", "name"): 'like name = "pbx"',
    ("trunks", "targets"): 'say where it leads, like targets = ["10.0.0.20:5060", "10.0.0.21:5060"]',
}


PLAIN = {
    (
        "users",
        key,
    ): "the file holds no secrets, only their hashes (mediaha hash-secret); change this one, now it is known"
    for key in ("secret", "password", "pass", "pwd")
}
"""For whoever has written the secret itself."""


def _syntax_mistake(error: tomllib.TOMLDecodeError, text: str) -> Mistake:
    """tomllib says where only inside its message, before Python 3.14."""
    said = str(error)
    place = re.search(r" \(at line (\d{1,9}), column (\d{1,9})\)$", said)
    if place:
        return Mistake(int(place[1]), f"not TOML: {said[: place.start()]} (column {place[2]})")
    last_line = text.count("\n") + 1
    return Mistake(last_line, f"not TOML: {said.removesuffix(' (at end of document)')}")


def _plain(error: msgspec.ValidationError) -> tuple[str, KeyPath]:
    """msgspec's sentence without its JSON path, and the path below the value."""
    said, _, place = str(error).partition(" - at `$")
    deeper = tuple(int(index) for index in re.findall(r"\[(\d+)\]", place))
    said = said.replace("`", "").replace("Expected", "expected")
    for ours, theirs in _WORDS.items():
        said = said.replace(ours, theirs)
    return said, deeper


_WORDS = {
    "expected str matching regex '^[A-Za-z0-9][A-Za-z0-9_.-]*$'": "expected letters, digits, '-', '_' or '.'",
    "expected str matching regex '^[A-Za-z0-9+_.!~*()$&=/-]+$'": "expected the user part of a SIP URI",
    "str | array | null": "text or a list",
    "str | null": "text",
    "float | null": "a number",
    "array | null": "a list",
    "expected str": "expected text",
    "expected int": "expected a whole number",
    "expected float": "expected a number",
    "expected bool": "expected true or false",
    "expected array": "expected a list",
    ", got str": "",
    ", got int": "",
    ", got float": "",
    ", got bool": "",
    ", got array": "",
    ", got object": "",
}


def _example(value: object) -> str:
    """A value as the file writes it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    written = repr(value)
    return written if len(written) <= EXAMPLE_LENGTH_MAX else written[: EXAMPLE_LENGTH_MAX - 1] + "…"


EXAMPLE_LENGTH_MAX = 60


def _called(kind: str, values: Mapping[str, object]) -> str:
    """``media 'media-1'``, or ``this [[media]]`` when it has no name."""
    name = values.get("name")
    return f"{kind} {name!r}" if isinstance(name, str) else f"this [[{kind}]]"
