"""Two descriptions that were both meant as offers, each made into an answer to the other (RFC 3264 section 6).

When somebody picks up a call that rings elsewhere, caller and picker have both offered. What one has offered can be
the answer to the other if their streams are of the same kinds and share a codec: an answer may name formats that the
offer has not, and payload types of its own.
"""

from __future__ import annotations

from mediaha.sip.sdp import Direction, streams

NO_SPEECH = frozenset({b"telephone-event", b"cn"})
STATIC = {b"0": b"pcmu/8000", b"3": b"gsm/8000", b"4": b"g723/8000", b"8": b"pcma/8000", b"9": b"g722/8000",
          b"15": b"g728/8000", b"18": b"g729/8000"}  # fmt: skip
"""Formats that need no rtpmap (RFC 3551 section 6)."""


def as_answer(body: bytes, offer: bytes) -> bytes | None:
    """What its author has offered in ``body`` as an answer to ``offer``; None: the two do not fit.

    There is a stream for each of the offer's: the one at its place if it fits, else a refused one (port 0). Those that
    say anything but ``sendrecv`` do not fit: nobody picks up a call to hear nothing.
    """
    session, mine = _sections(body)
    _, theirs = _sections(offer)
    talks, wants = _both_ways(body), _both_ways(offer)
    parts, fitting = [session], 0
    for index, their in enumerate(theirs):
        fits = index < len(mine) and talks[index] and wants[index] and _share(mine[index], their)
        fitting += fits
        parts.append(mine[index] if fits else _refused(their))
    return b"".join(parts) if fitting else None


def _both_ways(body: bytes) -> list[bool]:
    """Of each stream, whether its author speaks and listens."""
    return [
        stream.direction is Direction.SENDRECV and stream.port != b"0" and not stream.held for stream in streams(body)
    ]


def _sections(body: bytes) -> tuple[bytes, list[bytes]]:
    """The lines before the first stream, and those of each stream."""
    head: list[bytes] = []
    found: list[list[bytes]] = []
    for line in _lines(body):
        if line.startswith(b"m="):
            found.append([])
        (found[-1] if found else head).append(line)
    return b"".join(head), [b"".join(lines) for lines in found]


def _share(one: bytes, other: bytes) -> bool:
    """Whether two streams are of one kind, over one protocol, and have a codec in common."""
    kinds = [section.split(None, 3)[:3:2] for section in (one, other)]
    return kinds[0] == kinds[1] and not _codecs(one).isdisjoint(_codecs(other))


def _codecs(section: bytes) -> set[bytes]:
    media, *lines = _lines(section)
    named = dict(STATIC)
    for line in lines:
        if line.startswith(b"a=rtpmap:"):
            number, _, encoding = line[9:].strip().partition(b" ")
            named[number] = encoding.strip().lower().removesuffix(b"/1")
    codecs = {named.get(number, b"") for number in media.split()[3:]} - {b""}
    return {codec for codec in codecs if codec.partition(b"/")[0] not in NO_SPEECH}


def _refused(section: bytes) -> bytes:
    words = _lines(section)[0].split()
    words[1:2] = [b"0"]
    return b" ".join(words) + b"\r\n"


def _lines(text: bytes) -> list[bytes]:
    """With their ends, where `sdp.streams` sees them."""
    return [line + b"\n" for line in text.removesuffix(b"\n").split(b"\n")]
