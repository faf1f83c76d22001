"""A contact of a user, and what a REGISTER says about contacts (RFC 3261 section 10.2, 20.10)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from msgspec import Struct

from mediaha.model.address import Address
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import NameAddr, name_addr_untrusted, split_commas
from mediaha.sip.message import Request
from mediaha.sip.registration import Contact
from mediaha.sip.target import STREAMS, TCP, TLS, Target
from mediaha.sip.uri import Uri, equivalent, uri_untrusted

DEFAULT_S = 3600
"""For a phone that does not say, or not readably, how long it wants to be known (section 10.2.1.1)."""
EXPIRES_MAX = 2**32 - 1
URI_LENGTH_MAX = 512
PATHS_MAX = 8
AGENT_LENGTH_MAX = 120
STAR = "*"


class Binding(Struct, frozen=True, kw_only=True):
    """A contact that a phone has registered."""

    uri: str
    flow: Target
    """Where its REGISTER came from."""
    q: float
    expires_at: float
    call_id: str
    cseq: int
    instance: str = ""
    """Which phone, and which of its flows, when it says so (RFC 5626 section 4.1): it may come by another URI then."""
    path: tuple[str, ...] = ()
    agent: str = ""

    def contact(self) -> Contact:
        """How it is called."""
        return Contact(self.uri, self.flow, self._otherwise(), self.q, self.path)

    def _otherwise(self) -> Target | None:
        """Where it listens, if that is where it came from: nobody else can be made to get a connection of ours."""
        if self.flow.transport not in STREAMS or self.path:
            return None
        uri = uri_untrusted(self.uri)
        address = uri.address()
        port = 5061 if uri.port is None and self.flow.transport == TLS else address.port
        if uri.transport() not in {None, self.flow.transport, TCP} or not _is_same_host(uri.host, self.flow):
            return None
        return Target(self.flow.transport, Address(self.flow.address.host, port), "", self.flow.listener)

    def is_for(self, wanted: Wanted) -> bool:
        """Whether the phone means this one (section 10.3 step 7)."""
        if wanted.instance or self.instance:
            return wanted.instance == self.instance
        return equivalent(uri_untrusted(self.uri), wanted.uri)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a REGISTER says about one contact."""

    text: str
    uri: Uri
    q: float
    expires_s: int
    instance: str


@dataclass(frozen=True, slots=True)
class Wish:
    """All that it says: about each contact, or, with ``everything``, that there be none any more."""

    contacts: tuple[Wanted, ...] = ()
    everything: bool = False


def wish_untrusted(request: Request, contacts_max: int) -> Wish:
    """What a REGISTER asks for. Raises Malformed."""
    written = [part for value in request.headers.all("Contact") for part in split_commas(value)]
    general = _seconds(request.headers.get("Expires"), DEFAULT_S)
    if STAR in (part.strip() for part in written):
        if len(written) > 1 or general != 0:
            raise Malformed("Contact * stands alone, with Expires 0")
        return Wish(everything=True)
    if len(written) > contacts_max:
        raise Malformed("too many contacts")
    return Wish(tuple(_wanted(name_addr_untrusted(part), general) for part in written))


def path_untrusted(request: Request) -> tuple[str, ...]:
    """The proxies that want to be passed on the way to the phone (RFC 3327). Raises Malformed."""
    found = tuple(part for value in request.headers.all("Path") for part in split_commas(value))
    if len(found) > PATHS_MAX:
        raise Malformed("too many proxies in Path")
    for part in found:
        if len(part) > URI_LENGTH_MAX or name_addr_untrusted(part).parsed_uri().scheme not in {"sip", "sips"}:
            raise Malformed("Path names no SIP proxy")
    return found


def _wanted(contact: NameAddr, general: int) -> Wanted:
    if len(contact.uri) > URI_LENGTH_MAX:
        raise Malformed("a contact is too long")
    uri = contact.parsed_uri()
    if uri.scheme not in {"sip", "sips"}:
        raise Malformed("a contact is no SIP URI")
    bare = uri.bare()
    expires_s = _seconds(contact.parameter("expires"), general)
    return Wanted(str(bare), bare, _q(contact.parameter("q")), expires_s, _instance(contact))


def _seconds(text: str | None, default: int) -> int:
    """A delay; what cannot be read counts as not said (section 20.19)."""
    if text is None or not text.isascii() or not text.isdigit():
        return default
    return min(int(text[:11]), EXPIRES_MAX)


def _q(text: str | None) -> float:
    """From 0 to 1; what cannot be read counts as not said."""
    digits = (text or "").replace(".", "", 1)
    if text is None or len(text) > 5 or not digits.isascii() or not digits.isdigit():
        return 1.0
    return min(float(text), 1.0)


def _instance(contact: NameAddr) -> str:
    instance, number = contact.parameter("+sip.instance"), contact.parameter("reg-id")
    if not instance or not number or len(instance) > URI_LENGTH_MAX or len(number) > 10:
        return ""
    return f"{instance} {number}"


def _is_same_host(host: str, flow: Target) -> bool:
    try:
        return ip_address(host) == ip_address(flow.address.host)
    except ValueError:
        return False
