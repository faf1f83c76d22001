"""SIP URIs (RFC 3261 section 19.1): read, written, compared. ``tel:`` and unknown schemes are kept as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv6Address

from mediaha.model.address import PORT_MAX, Address
from mediaha.sip.errors import Malformed

DEFAULT_PORT = 5060
DEFAULT_PORT_TLS = 5061

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
# Wider than the grammar on purpose: phones send raw UTF-8 and '#'. What could break out of a header is not.
_FORBIDDEN = re.compile(r'[\x00-\x20\x7f<>"]')
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
# Parameters that make two URIs differ when only one of them has it (section 19.1.4).
_SIGNIFICANT = frozenset({"user", "ttl", "method", "maddr", "transport"})


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI. ``user`` keeps its escapes and password; ``host`` has no brackets and is lower case.

    Schemes other than sip and sips have an empty ``host``, and ``user`` holds the rest of the text.
    """

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    parameters: tuple[tuple[str, str | None], ...] = ()
    """Names in lower case, values as written; None for a parameter without a value (``;lr``)."""
    headers: str = ""
    """The text after the question mark."""

    def parameter(self, name: str) -> str | None:
        """The value of parameter ``name`` (lower case): empty when it has none, None when it is absent."""
        for key, value in self.parameters:
            if key == name:
                return value or ""
        return None

    def username(self) -> str:
        """The user without escapes and password: whom it names. Empty when it names none."""
        return _unescaped((self.user or "").partition(":")[0]) or ""

    def address(self) -> Address:
        """Host and port to send to, before any DNS: the scheme's default port when none is written."""
        default = DEFAULT_PORT_TLS if self.scheme == "sips" else DEFAULT_PORT
        return Address(self.host, default if self.port is None else self.port)

    def transport(self) -> str | None:
        """What it asks for, as Via writes it: ``TLS`` for sips, else its transport parameter; None: it does not say.

        ``sips`` never means less than TLS, whatever its parameter says (section 26.2.2).
        """
        if self.scheme == "sips":
            return "TLS"
        asked = self.parameter("transport")
        return asked.upper() if asked else None

    def bare(self) -> Uri:
        """Without what is not allowed in a Request-URI: the headers and ``method`` (section 19.1.1, table 1)."""
        kept = tuple(pair for pair in self.parameters if pair[0] != "method")
        return replace(self, parameters=kept, headers="")

    def __str__(self) -> str:
        parameters = "".join(f";{key}" if value is None else f";{key}={value}" for key, value in self.parameters)
        if not self.host:
            return f"{self.scheme}:{self.user or ''}{parameters}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{host}{port}{parameters}{headers}"


@lru_cache(maxsize=4096)
def uri_untrusted(text: str) -> Uri:
    """Read an addr-spec without angle brackets. Raises Malformed. Cached: our own Contacts come back all day."""
    scheme, colon, rest = text.partition(":")
    if not colon or _SCHEME.fullmatch(scheme) is None:
        raise Malformed("URI has no scheme")
    if _FORBIDDEN.search(rest) is not None:
        raise Malformed("URI contains a space, a quote or an angle bracket")
    scheme = scheme.lower()
    if scheme in {"sip", "sips"}:
        return _sip(scheme, rest)
    subscriber, semicolon, parameters = rest.partition(";")
    if not subscriber:
        raise Malformed("URI is empty after its scheme")
    if scheme == "tel":
        return Uri(scheme, subscriber, "", None, _parameters(parameters) if semicolon else ())
    return Uri(scheme, rest, "")


def host_port_untrusted(text: str) -> tuple[str, int | None]:
    """Read ``host[:port]`` of a URI or Via: the host without brackets, in lower case. Raises Malformed."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host):
            raise Malformed("not an IPv6 address between the brackets")
        if not rest:
            return host.lower(), None
        if not rest.startswith(":"):
            raise Malformed("text after the IPv6 address")
        return host.lower(), port_untrusted(rest[1:])
    host, colon, port = text.partition(":")
    if _HOST_NAME.fullmatch(host) is None:
        raise Malformed("host is empty or has a character that no host name has")
    return host.lower(), port_untrusted(port) if colon else None


def port_untrusted(text: str) -> int:
    """A port number in decimal digits. Raises Malformed."""
    if len(text) > len(str(PORT_MAX)) or not text.isascii() or not text.isdigit() or int(text) > PORT_MAX:
        raise Malformed("port is not a number up to 65535")
    return int(text)


def equivalent(one: Uri, other: Uri) -> bool:
    """Whether two URIs name the same resource by the rules of section 19.1.4."""
    if (one.scheme, one.host, one.port) != (other.scheme, other.host, other.port):
        return False
    if _unescaped(one.user) != _unescaped(other.user) or sorted(one.headers.split("&")) != sorted(
        other.headers.split("&")
    ):
        return False
    mine, theirs = dict(one.parameters), dict(other.parameters)
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if (mine[name] or "").lower() != (theirs[name] or "").lower():
                return False
        elif name in _SIGNIFICANT:
            return False
    return True


def _sip(scheme: str, rest: str) -> Uri:
    # The user part may hold ';' and '?', so the at-sign is looked for first; nothing after it may hold another.
    user, at, after = rest.partition("@")
    if not at:
        user, after = "", rest
    elif not user or "@" in after:
        raise Malformed("URI has an empty user or a second at-sign")
    place, question, headers = after.partition("?")
    hostport, semicolon, parameters = place.partition(";")
    host, port = host_port_untrusted(hostport)
    pairs = _parameters(parameters) if semicolon else ()
    return Uri(scheme, user if at else None, host, port, pairs, headers if question else "")


def _parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    pairs: list[tuple[str, str | None]] = []
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not name:
            raise Malformed("URI has a parameter without a name")
        pairs.append((name.lower(), value if equals else None))
    return tuple(pairs)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone means nothing to another host


def _unescaped(user: str | None) -> str | None:
    return None if user is None else _ESCAPE.sub(lambda match: chr(int(match[1], 16)), user)
