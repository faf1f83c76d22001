"""Header field values (RFC 3261 section 25): Via, From/To/Contact/Route, CSeq, lists and parameters.

Each reader takes the text of one value, raises Malformed, and goes through it once without a backtracking
regular expression, so hostile text costs no more than its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mediaha.sip.errors import Malformed
from mediaha.sip.names import is_method, is_token
from mediaha.sip.uri import DEFAULT_PORT, Uri, host_port_untrusted, port_untrusted, uri_untrusted

MAGIC_COOKIE = "z9hG4bK"
CSEQ_MAX = 2**31 - 1


class CSeq(NamedTuple):
    """The sequence number and the method of a request."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def cseq_untrusted(value: str) -> CSeq:
    """Read ``314159 INVITE``. The number is below 2**31 (section 8.1.1.5)."""
    parts = value.split()
    if len(parts) != 2:
        raise Malformed("CSeq is not a number and a method")
    number, method = parts
    # Eleven digits bound the conversion; int() of a long digit string is quadratic.
    if not number.isascii() or not number.isdigit() or len(number) > 11 or int(number) > CSEQ_MAX:
        raise Malformed("CSeq number is not below 2**31")
    if not is_method(method):
        raise Malformed("CSeq method is not a token")
    return CSeq(int(number), method)


@dataclass(slots=True, frozen=True)
class Via:
    """The topmost Via: who sent the message and where its responses go (section 20.42, RFC 3581)."""

    text: str
    """The value as written."""
    transport: str
    """Upper case: ``UDP``."""
    host: str
    port: int | None
    branch: str | None
    received: str | None
    rport: int | None
    """The port in ``rport=``; 0 when it is there without a value, as a request asks; None when absent."""

    @property
    def sent_by(self) -> str:
        """Host and port as one comparable text; a missing port means 5060."""
        return f"{self.host}:{DEFAULT_PORT if self.port is None else self.port}"

    @property
    def unique(self) -> bool:
        """Whether the branch was made by the rules of RFC 3261, and so names a transaction by itself."""
        return self.branch is not None and self.branch.startswith(MAGIC_COOKIE) and self.branch != MAGIC_COOKIE

    def received_from(self, host: str, port: int) -> str:
        """The text that goes into responses: ``received`` and ``rport`` filled in (RFC 3581 section 4)."""
        if self.rport is None and self.host == host:
            return self.text
        # Whatever the sender wrote there itself is not believed, so that nobody steers our responses.
        first, *parameters = _split(self.text, ";")
        kept = [part for part in parameters if _name(part) not in {"received", "rport"}]
        kept.append(f"received={host}")
        if self.rport is not None:
            kept.append(f"rport={port}")
        return ";".join([first, *kept])


def via_untrusted(value: str) -> Via:
    """Read the first Via of a field that may hold several, separated by commas."""
    text = first_of(value)
    if "<" in text:
        raise Malformed("Via contains an angle bracket")
    sent, *parameters = _split(text, ";")
    protocol, _, place = sent.strip().partition(" ")
    name, _, transport = protocol.rpartition("/")
    if name.upper() != "SIP/2.0" or not transport:
        name, transport, place = _spaced_protocol(sent)
    if name.upper() != "SIP/2.0" or not is_token(transport):
        raise Malformed("Via is not SIP/2.0 over a transport")
    host, port = host_port_untrusted(place.strip().replace(" ", "") if " " in place else place)
    branch = received = None
    rport = None
    for parameter in parameters:
        key, equals, setting = parameter.partition("=")
        key = key.strip().lower()
        if key == "branch":
            branch = setting.strip()
        elif key == "rport":
            rport = port_untrusted(setting.strip()) if equals and setting.strip() else 0
        elif key == "received":
            received = setting.strip()
        elif not key:
            raise Malformed("Via has a parameter without a name")
    return Via(text, transport.upper(), host, port, branch, received, rport)


@dataclass(slots=True, frozen=True)
class NameAddr:
    """A From, To, Contact, Route or similar value: ``"Display" <uri>;parameters``."""

    display: str
    """As written, quotes included; empty when there is none."""
    uri: str
    """The text of the URI without angle brackets."""
    parameters: str
    """The header's own parameters as written, each with its semicolon in front."""
    tag: str | None

    def parsed_uri(self) -> Uri:
        """The URI in its parts. Raises Malformed."""
        return uri_untrusted(self.uri)

    def parameter(self, name: str) -> str | None:
        """A parameter of the header by its lower-case name: empty when it has no value, None when absent."""
        return _parameter(self.parameters, name)

    def address(self) -> str:
        """Display name and ``<uri>``, without parameters: what a dialog keeps of From and To."""
        return f"{self.display} <{self.uri}>" if self.display else f"<{self.uri}>"


def name_addr_untrusted(value: str) -> NameAddr:
    """Read one name-addr or addr-spec. The URI itself is not taken apart (see NameAddr.parsed_uri)."""
    start = 0
    if value.startswith('"'):
        start = _quote_end(value, 0)
    bracket = value.find("<", start)
    if bracket < 0:
        return _addr_spec(value, start)
    end = value.find(">", bracket)
    if end < 0:
        raise Malformed("an angle bracket is not closed")
    uri = value[bracket + 1 : end].strip()
    parameters = value[end + 1 :].strip()
    if not uri or ":" not in uri:
        raise Malformed("no URI between the angle brackets")
    if parameters and not parameters.startswith(";"):
        raise Malformed("text after the angle bracket that is no parameter")
    display = value[:bracket].strip()
    if start == 0 and display and not all(map(_is_display_word, display.split())):
        raise Malformed("display name needs quotes")
    return NameAddr(display, uri, parameters, _tag(parameters))


def name_addrs_untrusted(values: list[str]) -> list[NameAddr]:
    """Read the values of all fields of a kind (Contact, Route, Record-Route), each of which may hold several."""
    return [name_addr_untrusted(part) for value in values for part in split_commas(value)]


def split_commas(value: str) -> list[str]:
    """The members of a comma-separated list; commas in quotes and angle brackets do not count."""
    if "," not in value:
        return [value]
    return [part for part in (piece.strip() for piece in _split(value, ",")) if part]


def first_of(value: str) -> str:
    """The first member of a comma-separated list."""
    if "," not in value:
        return value
    return _split(value, ",")[0].strip()


def quoted(text: str) -> str:
    """The text as a quoted-string, for a Reason or Warning header. Control characters become spaces."""
    clean = "".join(letter if letter >= " " and letter != "\x7f" else " " for letter in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _addr_spec(value: str, start: int) -> NameAddr:
    # Without brackets, what follows a semicolon belongs to the header and not to the URI (section 20.10).
    uri, semicolon, parameters = value.partition(";")
    uri = uri.strip()
    if start or ":" not in uri or " " in uri or ">" in uri or "," in uri or "?" in uri:
        raise Malformed("not a URI")
    parameters = semicolon + parameters.strip() if semicolon else ""
    return NameAddr("", uri, parameters, _tag(parameters))


def _tag(parameters: str) -> str | None:
    if not parameters:
        return None
    if parameters.startswith(";tag=") and ";" not in parameters[5:]:
        tag: str | None = parameters[5:].strip()
    else:
        tag = _parameter(parameters, "tag")
    if tag is not None and not is_token(tag):
        raise Malformed("tag is not a token")
    return tag


def _parameter(parameters: str, name: str) -> str | None:
    for part in _split(parameters, ";"):
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _name(parameter: str) -> str:
    return parameter.partition("=")[0].strip().lower()


def _is_display_word(word: str) -> bool:
    # Wider than 'token': unquoted letters beyond ASCII are common and harmless.
    return not any(letter in '"<>:;,@\\()' for letter in word)


def _quote_end(value: str, start: int) -> int:
    """The position after the quoted string that starts at ``start``."""
    at = start + 1
    quote = -1
    while True:
        if quote < at:
            quote = value.find('"', at)
        if quote < 0:
            raise Malformed("a quote is not closed")
        escape = value.find("\\", at, quote)
        if escape < 0:
            return quote + 1
        at = escape + 2


def _split(value: str, separator: str) -> list[str]:
    """Cut at the separator, but not inside quotes or angle brackets. One pass. Raises Malformed."""
    if '"' not in value and "<" not in value:
        return value.split(separator)
    parts: list[str] = []
    start = at = 0
    length = len(value)
    while at < length:
        letter = value[at]
        if letter == '"':
            at = _quote_end(value, at)
            continue
        if letter == "<":
            at = value.find(">", at)
            if at < 0:
                raise Malformed("an angle bracket is not closed")
        elif letter == separator:
            parts.append(value[start:at])
            start = at + 1
        at += 1
    parts.append(value[start:])
    return parts


def _spaced_protocol(sent: str) -> tuple[str, str, str]:
    """Protocol, transport and place of a Via with spaces around its slashes: ``SIP / 2.0 / UDP host`` (25.1)."""
    pieces = [piece.strip() for piece in sent.split("/")]
    if len(pieces) != 3:
        raise Malformed("Via is not SIP/2.0 over a transport")
    transport, _, place = pieces[2].partition(" ")
    return f"{pieces[0]}/{pieces[1]}", transport, place
