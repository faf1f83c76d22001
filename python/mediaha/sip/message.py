"""SIP messages: read from a datagram, changed by copying, written to a datagram (RFC 3261 section 7).

Header values are kept as they were written and read only when somebody asks; what we do not understand passes
through untouched. Reading checks what every message must have (Via, From, To, Call-ID, CSeq), so that
those properties of a message that came from `message_untrusted` never raise.

Messages are not changed in place: ``with_…`` and ``without`` give a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mediaha.model.errors import MediahaError
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import CSeq, NameAddr, Via, cseq_untrusted, first_of, name_addr_untrusted, via_untrusted
from mediaha.sip.names import key_of, reason_of
from mediaha.sip.uri import Uri, uri_untrusted

VERSION = "SIP/2.0"
MAX_FORWARDS = 70


Field = tuple[str, str, str]  # lower-case full name, name as written, value


class MessageError(MediahaError):
    """The bytes are no SIP message that can be taken.

    ``request`` is there when they are a request that can be answered, with ``status`` and ``reason``; else drop it.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.request = request


class Headers:
    """An ordered list of header fields; names are matched without case and in their compact forms too.

    Content-Length is not among them: it is written from the body.
    """

    __slots__ = ("_fields", "_first")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[Field] = [(key_of(name), name, value) for name, value in pairs]
        self._first: dict[str, str] | None = None

    @classmethod
    def of_fields(cls, fields: list[Field], first: dict[str, str] | None = None) -> Headers:
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._first = first
        return headers

    def get(self, name: str) -> str | None:
        """The value of the first field called ``name``, or None."""
        first = self._first
        if first is None:
            first = {}
            for key, _, value in self._fields:
                first.setdefault(key, value)
            self._first = first
        return first.get(key_of(name))

    def all(self, name: str) -> list[str]:
        """The values of all fields called ``name``, one per field; lists inside a value are not cut."""
        key = key_of(name)
        return [value for other, _, value in self._fields if other == key]

    def pairs(self, *names: str) -> list[tuple[str, str]]:
        """Name and value of the fields called any of ``names``, in order: to copy them into another message."""
        keys = {key_of(name) for name in names}
        return [(name, value) for key, name, value in self._fields if key in keys]

    def with_first(self, name: str, value: str) -> Headers:
        """A copy with this field in front of all others."""
        return Headers.of_fields([(key_of(name), name, value), *self._fields])

    def with_added(self, pairs: Iterable[tuple[str, str]]) -> Headers:
        """A copy with these fields at the end."""
        return Headers.of_fields([*self._fields, *((key_of(name), name, value) for name, value in pairs)])

    def with_first_value(self, name: str, value: str) -> Headers:
        """A copy in which the first field of this name has another value; the others of its name stay."""
        key = key_of(name)
        fields = self._fields.copy()
        for index, field in enumerate(fields):
            if field[0] == key:
                fields[index] = (key, field[1], value)
                break
        return Headers.of_fields(fields)

    def with_replaced(self, name: str, value: str) -> Headers:
        """A copy in which this field stands where the first of its name stood, or at the end."""
        key = key_of(name)
        fields: list[Field] = []
        placed = False
        for field in self._fields:
            if field[0] != key:
                fields.append(field)
            elif not placed:
                fields.append((key, name, value))
                placed = True
        if not placed:
            fields.append((key, name, value))
        return Headers.of_fields(fields)

    def without(self, *names: str) -> Headers:
        """A copy without the fields of these names."""
        keys = {key_of(name) for name in names}
        return Headers.of_fields([field for field in self._fields if field[0] not in keys])

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(name, value) for _, name, value in self._fields])

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._fields] == [(key, value) for key, _, value in other._fields]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def to_text(self) -> str:
        """The fields, each with its line end. Raises ValueError when a value would break out of its line.

        Values that were read from the network cannot do that; one that we made must not.
        """
        text = "".join([f"{name}: {value}\r\n" for _, name, value in self._fields])
        lines = len(self._fields)
        if text.count("\n") != lines or text.count("\r") != lines:
            raise ValueError("a header value contains a line break")
        return text


class Message:
    """What requests and responses have in common."""

    __slots__ = ("_cseq", "_from", "_to", "_via", "body", "encoding", "headers")

    def __init__(self, headers: Headers, body: bytes = b"", encoding: str = "utf-8") -> None:
        self.headers = headers
        self.body = body
        self.encoding = encoding
        """``utf-8``, or ``latin-1`` for a message that was not valid UTF-8 and is written back byte for byte."""
        self._via: Via | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            self._via = via_untrusted(self._required("Via"))
        return self._via

    @property
    def cseq(self) -> CSeq:
        """Sequence number and method; for a response the method that it answers."""
        if self._cseq is None:
            self._cseq = cseq_untrusted(self._required("CSeq"))
        return self._cseq

    @property
    def from_(self) -> NameAddr:
        """The From value."""
        if self._from is None:
            self._from = name_addr_untrusted(self._required("From"))
        return self._from

    @property
    def to(self) -> NameAddr:
        """The To value."""
        if self._to is None:
            self._to = name_addr_untrusted(self._required("To"))
        return self._to

    @property
    def from_tag(self) -> str:
        """The tag of From; empty when an RFC 2543 peer sent none."""
        return self.from_.tag or ""

    @property
    def to_tag(self) -> str:
        """The tag of To; empty when there is none, as in a request that starts a dialog."""
        return self.to.tag or ""

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self._required("Call-ID")

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, or None. Raises Malformed: Contacts are not checked when the message is read."""
        value = self.headers.get("Contact")
        return None if value is None else name_addr_untrusted(first_of(value))

    @property
    def content_type(self) -> str:
        """The body's type in lower case without parameters: ``application/sdp``; empty when there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise Malformed(f"no {name}")
        return value

    def _to_bytes(self, start: str) -> bytes:
        if "\r" in start or "\n" in start:
            raise ValueError("the start line contains a line break")
        head = f"{start}\r\n{self.headers.to_text()}Content-Length: {len(self.body)}\r\n\r\n"
        try:
            return head.encode(self.encoding) + self.body
        except UnicodeEncodeError:  # something of ours was added to a latin-1 message
            return head.encode("utf-8", "replace") + self.body


class Request(Message):
    """A request. ``uri`` is the Request-URI as written."""

    __slots__ = ("_request_uri", "method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"", encoding: str = "utf-8") -> None:
        super().__init__(headers, body, encoding)
        self.method = method
        self.uri = uri
        self._request_uri: Uri | None = None

    @property
    def request_uri(self) -> Uri:
        """The Request-URI in its parts; its scheme may be one that we do not serve (416)."""
        if self._request_uri is None:
            self._request_uri = uri_untrusted(self.uri)
        return self._request_uri

    @property
    def max_forwards(self) -> int:
        """Hops left; 70 when the header is missing, as RFC 2543 peers do."""
        value = self.headers.get("Max-Forwards")
        return MAX_FORWARDS if value is None else int(value)

    def arrived_from(self, host: str, port: int) -> Request:
        """A copy whose topmost Via says where it really came from (RFC 3581 section 4)."""
        via = self.via
        text = via.received_from(host, port)
        if text is via.text:
            return self
        value = self._required("Via").replace(via.text, text, 1)
        request = self.with_headers(self.headers.with_first_value("Via", value))
        request._cseq, request._from, request._to = self._cseq, self._from, self._to
        request._request_uri = self._request_uri
        return request

    def with_headers(self, headers: Headers) -> Request:
        """A copy with other headers."""
        return Request(self.method, self.uri, headers, self.body, self.encoding)

    def with_body(self, body: bytes, content_type: str) -> Request:
        """A copy with another body and its type."""
        headers = self.headers.with_replaced("Content-Type", content_type)
        return Request(self.method, self.uri, headers, body, self.encoding)

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """A response with what it must copy (section 8.2.6.2, and Record-Route of section 12.1.1).

        ``to_tag`` is ours; it is added when the request has none. A body needs its Content-Type among ``headers``.
        """
        fields: list[Field] = []
        for field in self.headers._fields:
            key = field[0]
            if key in _COPIED or (key == "record-route" and 100 < status < 300):
                if key == "to" and to_tag is not None and not self.to_tag:
                    field = (key, field[1], f"{field[2]};tag={to_tag}")  # noqa: PLW2901
                fields.append(field)
        fields.extend([(key_of(name), name, value) for name, value in headers])
        return Response(status, reason or reason_of(status), Headers.of_fields(fields), body, self.encoding)

    def to_bytes(self) -> bytes:
        """The message as it goes into a datagram. Raises ValueError for a line break in what we wrote."""
        return self._to_bytes(f"{self.method} {self.uri} {VERSION}")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"", encoding: str = "utf-8") -> None:
        super().__init__(headers, body, encoding)
        self.status = status
        self.reason = reason

    @property
    def final(self) -> bool:
        """Whether no other response to the request follows."""
        return self.status >= 200

    def with_headers(self, headers: Headers) -> Response:
        """A copy with other headers."""
        return Response(self.status, self.reason, headers, self.body, self.encoding)

    def to_bytes(self) -> bytes:
        """The message as it goes into a datagram. Raises ValueError for a line break in what we wrote."""
        return self._to_bytes(f"{VERSION} {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


_COPIED = frozenset({"via", "from", "to", "call-id", "cseq", "timestamp"})
