"""Dialogs (RFC 3261 section 12): what one side of a call must remember, as a value that can be written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.sip.message import Request, Response


class OutOfOrder(MediahaError):
    """The request's CSeq is not above the last one: answer 500 (section 12.2.2)."""


@dataclass(frozen=True, slots=True)
class Dialog:
    """One dialog, early or confirmed. Plain fields: msgspec writes and reads it as JSON."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    """Our From value without its tag: display name and ``<uri>``."""
    remote: str
    """The peer's, likewise."""
    remote_target: str
    """The URI of the peer's Contact."""
    route_set: tuple[str, ...]
    """Route values in the order in which they are sent, angle brackets included."""
    local_cseq: int
    remote_cseq: int | None
    secure: bool = False
    confirmed: bool = False

    @classmethod
    def from_request(cls, request: Request, local_tag: str, local_cseq: int = 0) -> Dialog:
        """The dialog that our response with ``local_tag`` to an INVITE creates (12.1.1). Raises Malformed (400)."""
        raise NotImplementedError

    @classmethod
    def from_response(cls, request: Request, response: Response) -> Dialog:
        """The dialog that a 1xx with a tag or a 2xx to our INVITE creates (12.1.2). Raises Malformed."""
        raise NotImplementedError

    def request(
        self, method: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", content_type: str = ""
    ) -> tuple[Dialog, Request]:
        """The next request in this dialog, and the dialog after it (12.2.1.1). Contact is among ``headers``."""
        raise NotImplementedError

    def ack(self, invite_cseq: int, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The ACK of a 2xx to the INVITE with this CSeq number (13.2.2.4)."""
        raise NotImplementedError

    def next_hop(self) -> Address:
        """Where its requests go: the first route, or the remote target. A host name is not resolved here."""
        raise NotImplementedError

    def received(self, request: Request) -> Dialog:
        """The dialog after a request of the peer: CSeq, target refresh (12.2.2). Raises OutOfOrder, Malformed."""
        raise NotImplementedError

    def answered(self, request: Request, response: Response) -> Dialog:
        """The dialog after the peer's response to our request: confirmed, target refreshed. Raises Malformed."""
        raise NotImplementedError

    def matches(self, request: Request) -> bool:
        """Whether a request of the peer belongs to this dialog."""
        raise NotImplementedError
