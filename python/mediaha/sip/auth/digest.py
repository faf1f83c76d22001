"""Challenges and credentials: read, written, and the hashes that tie them together (RFC 7616 section 3.4)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from mediaha.sip.errors import Malformed
from mediaha.sip.fields import is_token, quoted, split_commas

MD5, SHA256 = "MD5", "SHA-256"
SESSION = "-sess"
PARAMETERS_MAX = 32

_HASHES: dict[str, Callable[[bytes], str]] = {
    MD5: lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    SHA256: lambda data: hashlib.sha256(data).hexdigest(),
}
_BY_NAME = {
    name.upper(): (name, base, session)
    for base in (MD5, SHA256)
    for name, session in ((base, False), (base + SESSION, True))
}


@dataclass(frozen=True, slots=True)
class HashedSecret:
    """What is known of a user's password: H(name:realm:password) in hexadecimal, by algorithm; None: not known."""

    md5: str | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, username: str, realm: str, password: str) -> HashedSecret:
        """Hash a password, so that it can be forgotten."""
        text = f"{username}:{realm}:{password}".encode()
        return cls(_HASHES[MD5](text), _HASHES[SHA256](text))

    def hashed_with(self, algorithm: str) -> str | None:
        """The hash for MD5 or SHA-256."""
        return self.md5 if algorithm == MD5 else self.sha256

    def __repr__(self) -> str:
        return "HashedSecret(…)"  # as good as a password to whoever reads a log


@dataclass(frozen=True, slots=True)
class Password:
    """A password itself, for whoever is to be proved to in a realm that is not known beforehand."""

    text: str

    def hashed(self, username: str, realm: str) -> HashedSecret:
        """What it comes to in a realm."""
        return HashedSecret.of(username, realm, self.text)

    def __repr__(self) -> str:
        return "Password(…)"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for. ``algorithm`` is MD5 or SHA-256, ``session`` whether it is its ``-sess`` variant."""

    realm: str
    nonce: str
    algorithm: str = MD5
    session: bool = False
    opaque: str | None = None
    qop: tuple[str, ...] = ()
    stale: bool = False

    def __str__(self) -> str:
        parts = [f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}"]
        parts.append(f"algorithm={self.algorithm}{SESSION if self.session else ''}")
        if self.qop:
            parts.append(f"qop={quoted(','.join(self.qop))}")
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows. ``qop`` None: it speaks RFC 2069 and has neither ``nc`` nor ``cnonce``."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = MD5
    session: bool = False
    opaque: str | None = None
    qop: str | None = None
    nc: str = ""
    cnonce: str = ""

    def __str__(self) -> str:
        parts = [f"username={quoted(self.username)}", f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}"]
        parts.append(f"uri={quoted(self.uri)}")
        parts.append(f'response="{self.response}"')
        parts.append(f"algorithm={self.algorithm}{SESSION if self.session else ''}")
        if self.cnonce:
            parts.append(f"cnonce={quoted(self.cnonce)}")
        if self.qop is not None:
            parts.append(f"qop={self.qop}, nc={self.nc}")
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        return "Digest " + ", ".join(parts)

    def expected(self, hashed_secret: str, method: str, body: bytes) -> str:
        """The response that only somebody who knows the secret can give."""
        digest = _HASHES[self.algorithm]
        first = hashed_secret
        if self.session:
            first = digest(f"{first}:{self.nonce}:{self.cnonce}".encode())
        what = f"{method}:{self.uri}"
        if self.qop == "auth-int":
            what += f":{digest(body)}"
        second = digest(what.encode())
        if self.qop is None:
            return digest(f"{first}:{self.nonce}:{second}".encode())
        return digest(f"{first}:{self.nonce}:{self.nc}:{self.cnonce}:{self.qop}:{second}".encode())

    def proves(self, hashed_secret: str, method: str, body: bytes) -> bool:
        """Whether the response is the right one. Takes the same time however wrong it is."""
        return hmac.compare_digest(self.expected(hashed_secret, method, body).encode(), self.response.lower().encode())


def challenge_untrusted(value: str) -> Challenge | None:
    """Read a WWW-Authenticate or Proxy-Authenticate; None for a scheme or algorithm not ours. Raises Malformed."""
    parameters = _parameters(value)
    if parameters is None:
        return None
    algorithm = _BY_NAME.get(parameters.get("algorithm", MD5).upper())
    if algorithm is None:
        return None
    qop = tuple(word.strip().lower() for word in parameters.get("qop", "").split(",") if word.strip())
    return Challenge(
        realm=_required(parameters, "realm"),
        nonce=_required(parameters, "nonce"),
        algorithm=algorithm[1],
        session=algorithm[2],
        opaque=parameters.get("opaque"),
        qop=qop,
        stale=parameters.get("stale", "").lower() == "true",
    )


def credentials_untrusted(value: str) -> Credentials | None:
    """Read an Authorization or Proxy-Authorization; None for a scheme or algorithm not ours. Raises Malformed."""
    parameters = _parameters(value)
    if parameters is None:
        return None
    algorithm = _BY_NAME.get(parameters.get("algorithm", MD5).upper())
    if algorithm is None:
        return None
    qop = parameters.get("qop")
    nc, cnonce = parameters.get("nc", ""), parameters.get("cnonce", "")
    if qop is not None:
        qop = qop.lower()
        if qop not in {"auth", "auth-int"} or len(nc) != 8 or not cnonce:
            raise Malformed("credentials with qop need nc and cnonce")
        if not nc.isascii() or any(letter not in "0123456789abcdefABCDEF" for letter in nc):
            raise Malformed("nc is not eight hexadecimal digits")
    return Credentials(
        username=_required(parameters, "username"),
        realm=_required(parameters, "realm"),
        nonce=_required(parameters, "nonce"),
        uri=_required(parameters, "uri"),
        response=_required(parameters, "response"),
        algorithm=algorithm[1],
        session=algorithm[2],
        opaque=parameters.get("opaque"),
        qop=qop,
        nc=nc,
        cnonce=cnonce,
    )


def _parameters(value: str) -> dict[str, str] | None:
    """The parameters by their names in lower case; None when the scheme is not Digest."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    parts = split_commas(rest.strip())
    if len(parts) > PARAMETERS_MAX:
        raise Malformed("too many parameters")
    parameters: dict[str, str] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        name = name.strip().lower()
        if not equals or not is_token(name) or name in parameters:
            raise Malformed("a parameter has no value, or comes twice")
        parameters[name] = _unquoted(text.strip())
    return parameters


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    if len(text) < 2 or not text.endswith('"'):
        raise Malformed("a quote is not closed")
    if "\\" not in text:
        return text[1:-1]
    letters = iter(text[1:-1])
    return "".join(next(letters, "") if letter == "\\" else letter for letter in letters)


def _required(parameters: dict[str, str], name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise Malformed(f"no {name}")
    return value
