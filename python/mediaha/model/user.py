"""Users as they are configured, and where their phones were last seen."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with phones. His secret is known by its hashes with name and realm alone (HA1, RFC 7616)."""

    name: str
    """The user part of his address, unescaped; and the name that his phones authenticate with."""
    domain: str
    """In lower case."""
    realm: str
    md5: str | None = field(default=None, repr=False)
    """In hexadecimal; as good as the secret to whoever reads it."""
    sha256: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """``anna@example.test``."""
        return f"{self.name}@{self.domain}"


@dataclass(frozen=True, slots=True)
class ContactView:
    """A phone of a user, for people."""

    user: str
    """The user's address."""
    contact: str
    """The URI that the phone has registered."""
    source: str
    """Where it registered from: ``192.0.2.7:5060/udp``."""
    agent: str
    """What it says that it is; empty when it says nothing."""
    q: float
    expires_s: float
    connected: bool
    """False: it came by a connection that is closed."""
