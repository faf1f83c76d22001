"""Where a user's phone is, and the answer to a REGISTER: values that registrar and session control share."""

from __future__ import annotations

from typing import NamedTuple

from mediaha.sip.target import Target


class Contact(NamedTuple):
    """A phone that can be called."""

    uri: str
    """The Request-URI for it, to the letter as it registered."""
    flow: Target
    """The way that its REGISTER came: back there go its calls, so that NATs and firewalls let them through."""
    otherwise: Target | None = None
    """Where it listens for connections, for when the one that it came by is gone."""
    q: float = 1.0
    """Those of the highest q are called first."""
    path: tuple[str, ...] = ()
    """Proxies on the way to it (RFC 3327), as Route headers write them."""


class Answer(NamedTuple):
    """What a request gets."""

    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
