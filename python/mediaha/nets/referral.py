"""What a party asks for with REFER (RFC 3515), and which dialog a Replaces means (RFC 3891)."""

from __future__ import annotations

from urllib.parse import unquote

from mediaha.model.errors import MediahaError
from mediaha.model.value import Value
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import name_addr_untrusted
from mediaha.sip.message import Request
from mediaha.sip.uri import Uri, uri_untrusted

TEXT_MAX = 512
"""Characters of a Replaces that are read."""
SCHEMES = frozenset({"sip", "sips", "tel"})


class Replaces(Value, frozen=True):
    """A dialog, as the one who is to leave it is seen by whoever gets the request."""

    call_id: str
    to_tag: str
    """The receiver's own tag."""
    from_tag: str
    early_only: bool = False

    def value(self) -> str:
        """As the header is written."""
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


class Referral(Value, frozen=True, kw_only=True):
    """To whom the other party is to be transferred."""

    uri: str
    """Without what only a REFER may say: the headers and the method."""
    replaces: Replaces | None = None
    referred_by: str = ""
    """The Referred-By of the REFER (RFC 3892)."""
    silent: bool = False
    """The referrer does not want to be told what comes of it (Refer-Sub, RFC 4488)."""


class Unwilling(MediahaError):
    """The REFER can be read, but asks for something that NeTS does not do."""

    def __init__(self, status: int, reason: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def referral_untrusted(request: Request) -> Referral:
    """Read a REFER. Raises Malformed (400: section 2.4.2 wants one Refer-To) and Unwilling."""
    fields = request.headers.all("Refer-To")
    if len(fields) != 1:
        raise Malformed("not one Refer-To")
    uri = _refer_to_untrusted(fields[0])
    if uri.scheme not in SCHEMES:
        raise Unwilling(416)
    if (uri.parameter("method") or "INVITE").upper() != "INVITE":
        raise Unwilling(603, "Only INVITE")
    replaces = None
    for pair in uri.headers.split("&"):
        name, _, value = pair.partition("=")
        # Any other header would be ours to send, in somebody else's words.
        if unquote(name).lower() == "replaces":
            replaces = replaces_untrusted(unquote(value))
    by = request.headers.get("Referred-By") or ""
    silent = (request.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
    return Referral(uri=str(uri.bare()), replaces=replaces, referred_by=by, silent=silent)


def _refer_to_untrusted(value: str) -> Uri:
    # A question mark belongs between angle brackets (RFC 3261 section 20); baresip, for one, writes none.
    bare = "<" not in value and "?" in value
    return uri_untrusted(value.strip()) if bare else name_addr_untrusted(value).parsed_uri()


def replaces_untrusted(value: str, *more: str) -> Replaces:
    """Read a Replaces header. Raises Malformed, also when there are more of them (RFC 3891 section 3)."""
    if more:
        raise Malformed("more than one Replaces")
    if len(value) > TEXT_MAX or any(ord(letter) < 0x21 for letter in value.replace(" ", "")):
        raise Malformed("unusable Replaces")
    call_id, *parameters = (part.strip() for part in value.split(";"))
    said: dict[str, str] = {}
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if said.setdefault(name.strip().lower(), text.strip()) != text.strip():
            raise Malformed("Replaces says a thing twice")
    if not call_id or not said.get("to-tag") or "from-tag" not in said:
        raise Malformed("Replaces names no dialog")
    return Replaces(call_id, said["to-tag"], said["from-tag"], "early-only" in said)


def user_of(referral: Referral) -> str:
    """The user part of whom it is about: of a tel URI its number. Raises Malformed."""
    return uri_untrusted(referral.uri).user or ""


def is_secure(referral: Referral) -> bool:
    """Whether it is to be called by TLS alone. Raises Malformed."""
    return uri_untrusted(referral.uri).scheme == "sips"


def host_of(referral: Referral) -> str:
    """The host of whom it is about; empty for a tel URI. Raises Malformed."""
    return uri_untrusted(referral.uri).host


def sipfrag(status: int, reason: str) -> bytes:
    """A status line as the body of a NOTIFY (RFC 3420)."""
    return f"SIP/2.0 {status} {reason}\r\n".encode()
