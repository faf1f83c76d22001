"""Dialogs (RFC 3261 section 12): what one side of a call must remember, as a value that can be written down.

A Dialog never changes: each function gives the one after it, which the call keeps once it has committed to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.model.value import Value
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import name_addr_untrusted, name_addrs_untrusted
from mediaha.sip.message import MAX_FORWARDS, Headers, Message, Request, Response
from mediaha.sip.resolve.locate import literal_target
from mediaha.sip.target import Target
from mediaha.sip.uri import Uri, uri_untrusted

ROUTES_MAX = 32

# Requests, and 2xx to them, whose Contact moves the remote target (sections 12.2.1.2 and 12.2.2, RFC 3311).
_REFRESHING = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})


class OutOfOrder(MediahaError):
    """The request's CSeq is not above the last one: answer 500 (section 12.2.2)."""


class Dialog(Value, frozen=True):
    """One dialog, early or confirmed. Plain fields: msgspec writes and reads it as JSON."""

    call_id: str
    local_tag: str
    remote_tag: str
    """Empty when the peer speaks RFC 2543 and sent none."""
    local: str
    """Our From value without its tag: display name and ``<uri>``."""
    remote: str
    """The peer's, likewise."""
    remote_target: str
    """The URI of the peer's Contact."""
    route_set: tuple[str, ...]
    """Route values in the order in which they are sent, angle brackets included."""
    local_cseq: int
    """The number of our last request; zero when we have not sent any."""
    remote_cseq: int | None
    """The number of the peer's last request; None when none has come."""
    secure: bool = False
    confirmed: bool = False

    @classmethod
    def from_request(cls, request: Request, local_tag: str, local_cseq: int = 0) -> Dialog:
        """The dialog that our response with ``local_tag`` to an INVITE creates (12.1.1).

        It is early until `confirm`. Raises Malformed: answer 400.
        """
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_tag,
            local=request.to.address(),
            remote=request.from_.address(),
            remote_target=_target_untrusted(request) if request.contact else _from_untrusted(request),
            route_set=_routes_untrusted(request),
            local_cseq=local_cseq,
            remote_cseq=request.cseq.number,
            secure=request.uri.lower().startswith("sips:"),
        )

    @classmethod
    def from_response(cls, request: Request, response: Response) -> Dialog:
        """The dialog that a 1xx with a To tag or a 2xx to our INVITE creates (12.1.2).

        Raises Malformed: a 2xx must still be acknowledged, but there is nowhere to send it.
        """
        return cls(
            call_id=request.call_id,
            local_tag=request.from_tag,
            remote_tag=response.to_tag,
            local=request.from_.address(),
            remote=response.to.address(),
            remote_target=_target_untrusted(response),
            route_set=_routes_untrusted(response)[::-1],
            local_cseq=request.cseq.number,
            remote_cseq=None,
            secure=request.uri.lower().startswith("sips:"),
            confirmed=response.status >= 200,
        )

    def confirm(self) -> Dialog:
        """The dialog after we sent a 2xx to the INVITE that created it."""
        return replace(self, confirmed=True)

    def request(
        self, method: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", content_type: str = ""
    ) -> tuple[Dialog, Request]:
        """The next request in this dialog, and the dialog after it (12.2.1.1).

        ``headers`` has what the method needs: Contact for INVITE, Reason for BYE.
        """
        number = self.local_cseq + 1
        request = self._request(method, number, headers, body, content_type)
        return replace(self, local_cseq=number), request

    def renumbered(self, request: Request) -> tuple[Dialog, Request]:
        """The request as the next one of this dialog, when it has to be sent once more with what it lacked (22.2)."""
        number = self.local_cseq + 1
        headers = request.headers.with_replaced("CSeq", f"{number} {request.method}")
        return replace(self, local_cseq=number), request.with_headers(headers)

    def ack(
        self,
        invite_cseq: int,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Request:
        """The ACK of a 2xx to the INVITE with this CSeq number (13.2.2.4)."""
        return self._request("ACK", invite_cseq, headers, body, content_type)

    def next_uri(self) -> Uri:
        """Whom its requests go to: the first route, or else the remote target. Where that is, `resolve` finds."""
        if self.route_set:
            return name_addr_untrusted(self.route_set[0]).parsed_uri()
        return uri_untrusted(self.remote_target)

    def next_hop(self) -> Address:
        """The same as host and port, when it is known to be over UDP. A host name is not resolved here."""
        return self.next_uri().address()

    def next_target(self) -> Target | None:
        """The same as a target, when it names an IP address; None when that takes `resolve`."""
        return literal_target(self.next_uri())

    def received(self, request: Request) -> Dialog:
        """The dialog after a new request of the peer (12.2.2). Not for ACK and CANCEL.

        Raises OutOfOrder (500), Malformed (400).
        """
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            raise OutOfOrder(f"CSeq {number} after {self.remote_cseq}")
        return replace(self, remote_cseq=number, remote_target=self._refreshed(request, request.method))

    def answered(self, response: Response) -> Dialog:
        """The dialog after the peer's response to a request of ours in it. Raises Malformed."""
        if not 200 <= response.status < 300:
            return self
        method = response.cseq.method
        target = self._refreshed(response, method)
        routes = self.route_set
        if not self.confirmed and method == "INVITE":
            # The 2xx decides the route set, whatever the early dialog had (section 13.2.2.4).
            routes = _routes_untrusted(response)[::-1]
        return replace(self, remote_target=target, route_set=routes, confirmed=self.confirmed or method == "INVITE")

    def matches(self, request: Request) -> bool:
        """Whether a request of the peer belongs to this dialog."""
        return (
            request.call_id == self.call_id
            and request.to_tag == self.local_tag
            and request.from_tag == self.remote_tag
        )

    def _request(
        self, method: str, number: int, headers: Iterable[tuple[str, str]], body: bytes, content_type: str
    ) -> Request:
        uri, routes = self._way()
        fields = [("Route", route) for route in routes]
        fields.append(("Max-Forwards", str(MAX_FORWARDS)))
        fields.append(("From", _tagged(self.local, self.local_tag)))
        fields.append(("To", _tagged(self.remote, self.remote_tag)))
        fields.append(("Call-ID", self.call_id))
        fields.append(("CSeq", f"{number} {method}"))
        fields.extend(headers)
        if content_type:
            fields.append(("Content-Type", content_type))
        return Request(method, uri, Headers(fields), body)

    def _way(self) -> tuple[str, tuple[str, ...]]:
        """Request-URI and Route values: loose routing, or strict where the first hop knows no better (12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, ()
        first = name_addr_untrusted(self.route_set[0]).parsed_uri()
        if first.parameter("lr") is not None:
            return self.remote_target, self.route_set
        return str(first.bare()), (*self.route_set[1:], f"<{self.remote_target}>")

    def _refreshed(self, message: Message, method: str) -> str:
        if method in _REFRESHING and "Contact" in message.headers:
            return _target_untrusted(message)
        return self.remote_target


def _tagged(address: str, tag: str) -> str:
    return f"{address};tag={tag}" if tag else address


def _target_untrusted(message: Message) -> str:
    contact = message.contact
    if contact is None:
        raise Malformed("no Contact")
    return str(_sip_untrusted(contact.parsed_uri()).bare())


def _from_untrusted(request: Request) -> str:
    """Where a peer is that follows RFC 2543, which did not ask for a Contact."""
    return str(_sip_untrusted(request.from_.parsed_uri()).bare())


def _routes_untrusted(message: Message) -> tuple[str, ...]:
    """The Record-Route values, checked so that `next_hop` and `_way` can trust them."""
    routes = name_addrs_untrusted(message.headers.all("Record-Route"))
    if len(routes) > ROUTES_MAX:
        raise Malformed("too many Record-Routes")
    for route in routes:
        _sip_untrusted(route.parsed_uri())
    return tuple(f"<{route.uri}>{route.parameters}" for route in routes)


def _sip_untrusted(uri: Uri) -> Uri:
    if not uri.host:
        raise Malformed("Contact or Record-Route is not a SIP URI")
    return uri
