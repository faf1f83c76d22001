"""Bytes of a datagram become a message, or an error that says what to answer. Total: no bytes make it raise else."""

from __future__ import annotations

from dataclasses import dataclass

from mediaha.sip.errors import Malformed
from mediaha.sip.message import VERSION, Field, Headers, Message, MessageError, Request, Response
from mediaha.sip.names import SINGLE, is_method, key_untrusted, reason_of

FORWARDS_MAX = 255


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """What is read at all; a larger request is answered with 513 (RFC 3261 section 21.5.7)."""

    head_bytes_max: int = 32 * 1024
    headers_max: int = 200
    body_bytes_max: int = 64 * 1024
    """Over streams; a datagram has its own end."""


SIZE_LIMITS = SizeLimits()

Fault = tuple[int, str]  # status and reason of the answer


def message_untrusted(data: bytes, limits: SizeLimits = SIZE_LIMITS) -> Request | Response:
    """Read one datagram. Raises MessageError.

    Bytes after Content-Length are dropped, a body shorter than it is an error, and without it the body is the rest of
    the datagram (section 18.3). Folded lines are joined with one space (section 7.3.1).
    """
    if data[:1] in {b"\r", b"\n"}:
        data = data.lstrip(b"\r\n")  # section 7.5: empty lines before the start line are ignored
    faults: list[Fault] = []
    end = data.find(b"\r\n\r\n", 0, limits.head_bytes_max)
    if end < 0:
        large = len(data) >= limits.head_bytes_max
        faults.append((513, reason_of(513)) if large else (400, "No empty line after the headers"))
        end = max(data.rfind(b"\r\n", 0, limits.head_bytes_max), 0)
    text, encoding = _decoded(data[:end])
    breaks = text.count("\r\n")
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        # It could end a line in a peer that reads more loosely than we do; nothing of it is sent back.
        raise MessageError(400, "Line break or NUL inside a line")
    start, _, rest = text.partition("\r\n")
    message = _status_line(start) if start[:4] == "SIP/" else _request_line(start, faults)
    message.encoding = encoding
    length = _fields(message, rest, limits, faults)
    message.body = _body(data[end + 4 :], length, faults)
    answerable = _check(message, faults)
    if faults:
        status, reason = faults[0]
        raise MessageError(status, reason, message if answerable and isinstance(message, Request) else None)
    return message


def _decoded(head: bytes) -> tuple[str, str]:
    # Headers are UTF-8 (section 7). What is not, old phones' Latin-1 names mostly, is kept byte for byte by
    # reading it as Latin-1, which has a letter for every byte.
    try:
        return head.decode(), "utf-8"
    except UnicodeDecodeError:
        return head.decode("latin-1"), "latin-1"


def _status_line(line: str) -> Response:
    version, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if version != VERSION:
        raise MessageError(505, reason_of(505))
    if len(code) != 3 or not code.isascii() or not code.isdigit() or not "100" <= code <= "699":
        raise MessageError(400, "Status code is not between 100 and 699")
    return Response(int(code), reason, Headers())


def _request_line(line: str, faults: list[Fault]) -> Request:
    method, _, rest = line.partition(" ")
    uri, _, version = rest.partition(" ")
    if not is_method(method):
        raise MessageError(400, "Method is not a token")
    if version.upper() != VERSION:
        other = version[:4].upper() == "SIP/" and " " not in version
        faults.append((505, reason_of(505)) if other else (400, "Request line is not method, URI and SIP/2.0"))
    return Request(method, uri, Headers())


def _fields(message: Message, text: str, limits: SizeLimits, faults: list[Fault]) -> str | None:
    """Cut the header lines and give them to the message. Returns the value of Content-Length."""
    if "\r\n " in text or "\r\n\t" in text:
        text = _unfolded(text)
    lines = text.split("\r\n") if text else []
    if len(lines) > limits.headers_max:
        faults.append((513, reason_of(513)))
        del lines[limits.headers_max :]
    fields: list[Field] = []
    first: dict[str, str] = {}
    length: str | None = None
    for line in lines:
        written, colon, value = line.partition(":")
        name = written.rstrip(" \t")
        value = value.strip(" \t")
        key = key_untrusted(name)
        if not colon or not key:
            faults.append((400, "Header line is not a name and a value"))
            continue
        if key in first or (key == "content-length" and length is not None):
            if key in SINGLE:
                faults.append((400, f"More than one {name}"))
                continue
        elif key == "content-length":
            length = value
            continue
        else:
            first[key] = value
        fields.append((key, name, value))
    message.headers = Headers.of_fields(fields, first)
    return length


def _unfolded(text: str) -> str:
    lines = text.split("\r\n")
    joined = [lines[0].lstrip()]
    for line in lines[1:]:
        if line[:1] in {" ", "\t"}:
            joined.append(f" {line.strip()}")
        else:
            joined.append(f"\r\n{line}")
    return "".join(joined)


def _body(rest: bytes, length: str | None, faults: list[Fault]) -> bytes:
    if length is None:
        return rest
    if len(length) > 9 or not length.isascii() or not length.isdigit():
        faults.append((400, "Content-Length is not a number"))
        return b""
    stated = int(length)
    if stated > len(rest):
        faults.append((400, "Body is shorter than Content-Length"))
    return rest if stated == len(rest) else rest[:stated]


def _check(message: Request | Response, faults: list[Fault]) -> bool:
    """Read what every message must have (section 8.1.1), so that nobody later finds it unreadable.

    Returns whether a response would find its way. An ACK is never answered.
    """
    try:
        message.via  # noqa: B018
    except Malformed as fault:
        faults.append((400, str(fault)))
        return False
    try:
        message.from_, message.to  # noqa: B018
        cseq = message.cseq
        if not message.call_id:
            faults.append((400, "Call-ID is empty"))
        if isinstance(message, Request):
            _check_request(message, cseq.method, faults)
    except Malformed as fault:
        faults.append((400, str(fault)))
    return not isinstance(message, Request) or message.method != "ACK"


def _check_request(request: Request, cseq_method: str, faults: list[Fault]) -> None:
    if cseq_method != request.method:
        faults.append((400, "CSeq has another method than the request line"))
    request.request_uri  # noqa: B018
    forwards = request.headers.get("Max-Forwards")
    if forwards is not None and not (
        forwards.isascii() and forwards.isdigit() and len(forwards) <= 9 and int(forwards) <= FORWARDS_MAX
    ):
        faults.append((400, "Max-Forwards is not a number up to 255"))
