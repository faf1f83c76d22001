"""What a B2BUA must know of an SDP body (RFC 4566, RFC 3264): whose it is, and whether the media changed.

Bytes in, bytes out, line by line; nothing here fails on any bytes. Ports and addresses are the media server's
business: it rewrites them. Here the origin is ours, so that each party sees one session whose version only rises,
however often the media server behind it changes (RFC 3264 section 8).
"""

from __future__ import annotations

from enum import StrEnum

from mediaha.model.value import Value


class Direction(StrEnum):
    """Who may send, from the point of view of the body's author."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


class Origin(Value, frozen=True):
    """The o= line: who made the session, and which version of its description this is."""

    username: str
    session_id: int
    version: int
    address: str
    """An IP address, as written into the line with its type."""

    def line(self) -> bytes:
        """The line without its end."""
        kind = "IP6" if ":" in self.address else "IP4"
        return f"o={self.username} {self.session_id} {self.version} IN {kind} {self.address}".encode()


class Stream(Value, frozen=True):
    """One m= section, as far as it says where media goes."""

    kind: bytes
    """``audio``, ``video``…"""
    port: bytes
    """As written; ``0`` for a disabled stream."""
    address: bytes
    """Of its own c= line or the session's: ``IN IP4 192.0.2.1``; empty when there is none."""
    direction: Direction

    @property
    def held(self) -> bool:
        """Whether the author wants no media from its peer (RFC 3264 section 8.4; RFC 2543's 0.0.0.0 too)."""
        silent = self.direction in {Direction.SENDONLY, Direction.INACTIVE}
        return silent or self.address.endswith(b" 0.0.0.0")


def is_sdp(body: bytes) -> bool:
    """Whether the body is a session description at all: a version, an origin, and lines ``x=``."""
    lines = _lines(body)
    if len(lines) < 2 or lines[0] != b"v=0" or not lines[1].startswith(b"o="):
        return False
    return all(line[1:2] == b"=" for line in lines if line)


def with_origin(body: bytes, origin: Origin) -> bytes:
    """The same description with this o= line instead of its own. All other bytes stay as they are."""
    start = 0 if body.startswith(b"o=") else body.find(b"\no=") + 1
    if start == 0 and not body.startswith(b"o="):
        return body
    end = body.find(b"\n", start)
    end = len(body) if end < 0 else end
    if body[end - 1 : end] == b"\r" and end - 1 >= start:
        end -= 1
    return body[:start] + origin.line() + body[end:]


def without_origin(body: bytes) -> bytes:
    """The description without its o= line: equal for two that differ in nothing but their version."""
    return b"".join(line for line in body.splitlines(keepends=True) if not line.startswith(b"o="))


def open_both_ways(body: bytes) -> bytes:
    """The description as an offer to somebody else: who has been put on hold by one peer is not on hold for another.

    A direction that is not written is ``sendrecv``.
    """
    return b"".join(line for line in body.splitlines(keepends=True) if line.strip() not in _ONE_WAY)


def streams(body: bytes) -> tuple[Stream, ...]:
    """The m= sections in order."""
    found: list[Stream] = []
    session_address = b""
    session_direction = Direction.SENDRECV
    media: list[bytes] | None = None
    address, direction = b"", Direction.SENDRECV
    for line in _lines(body):
        if line.startswith(b"m="):
            if media is not None:
                found.append(_stream(media, address, direction))
            media = line[2:].split()
            address, direction = session_address, session_direction
        elif line.startswith(b"c="):
            address = line[2:].strip()
        elif line.startswith(b"a=") and line[2:].strip() in _DIRECTIONS:
            direction = _DIRECTIONS[line[2:].strip()]
        if media is None:
            session_address, session_direction = address, direction
    if media is not None:
        found.append(_stream(media, address, direction))
    return tuple(found)


def direction(body: bytes) -> Direction:
    """The direction of the first enabled stream; ``inactive`` when there is none."""
    for stream in streams(body):
        if stream.port != b"0":
            return stream.direction
    return Direction.INACTIVE


def same_places(one: bytes, other: bytes) -> bool:
    """Whether two descriptions have their media at the same addresses and ports."""
    return [(stream.port, stream.address) for stream in streams(one)] == [
        (stream.port, stream.address) for stream in streams(other)
    ]


_DIRECTIONS = {member.value.encode(): member for member in Direction}
_ONE_WAY = frozenset(b"a=" + name for name in _DIRECTIONS if name != b"sendrecv")


def _stream(media: list[bytes], address: bytes, direction: Direction) -> Stream:
    kind = media[0] if media else b""
    port = media[1].partition(b"/")[0] if len(media) > 1 else b"0"
    return Stream(kind, port, address, direction)


def _lines(body: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in body.split(b"\n")]
