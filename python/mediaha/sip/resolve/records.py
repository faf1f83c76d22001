"""What is asked of the DNS, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

NAPTR, SRV, A, AAAA = "NAPTR", "SRV", "A", "AAAA"


class Question(NamedTuple):
    """One name and what is wanted of it. Names are lower case, without the dot at the end."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Naptr:
    """Which service a domain offers, and where to read on (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """A host and port of a service (RFC 2782)."""

    priority: int
    weight: int
    port: int
    host: str
    """Empty: the service is decidedly not there."""


Record = Naptr | Srv | str
"""An A or AAAA record is an address."""
Records = tuple[Record, ...]
"""All records of a question; empty when there are none. Not to be mixed up with no answer, which is None."""
