"""The messages NeTS starts of its own, and what it reads from those of others."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

from mediaha.nets.call import Invite
from mediaha.nets.destination import Destination
from mediaha.nets.expiry import options_untrusted
from mediaha.nets.headers import SDP_TYPE, Pairs, passed_on, session_of
from mediaha.nets.identity import believed, caller_for
from mediaha.sip.fields import NameAddr
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.multipart import is_multipart, session_untrusted
from mediaha.sip.uri import Uri

NIL = "0" * 32
"""Of a session whose far end is not known yet (RFC 7989 section 5)."""


def invite_of(request: Request, host: str, session: str, *, trusted: bool = True) -> Invite:
    """What the caller's INVITE says that goes on to the callee. ``host`` is ours. Raises Malformed.

    ``session``: our name for the session, for a caller that has none; by it a call that comes back is known.
    ``trusted``: what the caller asserts is believed.
    """
    headers = believed(passed_on(request), trusted=trusted)
    if not session_of(request):
        headers = (*headers, ("Session-ID", f"{session};remote={NIL}"))
    return Invite(
        user=request.request_uri.user or "",
        calling=_without_place(request.from_, host),
        called=request.to.address(),
        max_forwards=request.max_forwards,
        headers=headers,
        cseq=request.cseq.number,
        trusted=trusted,
        secure=request.request_uri.scheme == "sips",
        reliability=_reliability(request),
    )


def _reliability(request: Request) -> Literal["", "supported", "required"]:
    if "100rel" in options_untrusted(request, "Require"):
        return "required"
    return "supported" if "100rel" in options_untrusted(request, "Supported") else ""


def _without_place(caller: NameAddr, host: str) -> str:
    """Who calls. A domain is a part of that; an address is not, it says where the caller's machine is."""
    uri = caller.parsed_uri()
    if not is_ip(uri.host):
        return caller.address()
    return NameAddr(caller.display, str(Uri(uri.scheme, uri.user, host, headers=uri.headers)), "", None).address()


@lru_cache(maxsize=1024)
def is_ip(host: str) -> bool:
    """Whether a host is written as an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def first_invite(
    invite: Invite, target: Destination, *, call_id: str, tag: str, session: Pairs, body: bytes
) -> Request:
    """The INVITE to a target: the caller's identity and words, everything that names a place is ours.

    The Request-URI names the target, as call managers and phones want to see themselves in it; To says who was called.
    ``session`` has our Contact, and what we can do.
    """
    calling, headers = caller_for(invite.calling, invite.headers, target)
    fields: Pairs = (
        *(("Route", proxy) for proxy in target.path),
        ("Max-Forwards", str(invite.max_forwards - 1)),
        ("From", f"{calling};tag={tag}"),
        ("To", invite.called),
        ("Call-ID", call_id),
        ("CSeq", "1 INVITE"),
        *session,
        *headers,
    )
    uri = target.uri_of(invite.user, secure=invite.secure)
    return Request("INVITE", uri, Headers((*fields, SDP_TYPE) if body else fields), body)


def once_more(request: Request, changes: Pairs) -> Request:
    """A refused request with what it lacked, and the next CSeq number (RFC 3261 section 8.1.3.5, RFC 4028).

    Credentials are good once: it gets new ones.
    """
    cseq = request.cseq
    headers = request.headers.without("Authorization", "Proxy-Authorization")
    headers = headers.with_replaced("CSeq", f"{cseq.number + 1} {cseq.method}")
    for name, value in changes:
        headers = headers.with_replaced(name, value)
    return request.with_headers(headers)


def sdp_of(message: Request | Response) -> bytes:
    """The SDP in a message, be it one part of its body; empty when it carries none."""
    kind = message.content_type
    if kind == "application/sdp":
        return message.body
    return session_untrusted(message.headers.get("Content-Type") or "", message.body) if is_multipart(kind) else b""
