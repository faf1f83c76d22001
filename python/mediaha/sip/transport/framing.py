"""Where a message of a stream ends (section 18.3), and the empty lines between messages (RFC 5626 section 3.5.1).

    bytes ─▶ empty lines? ─▶ head, up to an empty line ─▶ body, Content-Length bytes ─▶ one message
                 │                     │                          │
                 ▼                     └── too large, no or two ──┴──▶ CutShort: what follows cannot be told
               a ping                      Content-Lengths             from what was meant: close

Two readers who disagree on where a message ends let somebody smuggle a second one inside the first, so the length
is read strictly: one Content-Length, digits only, no bare line break or NUL in the head.
"""

from __future__ import annotations

import re

from mediaha.model.errors import MediahaError
from mediaha.sip.reading import SIZE_LIMITS, SizeLimits

PING = b"\r\n\r\n"
PONG = b"\r\n"

# A value may be folded over lines; the alternatives exclude each other, so this cannot backtrack far.
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE)


class CutShort(MediahaError):
    """The stream cannot be followed any further. ``head`` is what is there of the message at fault."""

    def __init__(self, status: int, reason: str, head: bytes) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.head = head


class Framing:
    """One direction of one connection."""

    __slots__ = ("_awaiting", "_buffer", "_half", "_head", "_limits", "_need", "_searched", "fault", "pings", "pongs")

    def __init__(self, limits: SizeLimits = SIZE_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        """How much of the buffer is known to hold no end of a head."""
        self._head = 0
        """Length of the head that waits for its body, empty line included; zero while there is none."""
        self._need = 0
        """Length of that message."""
        self._half = False
        """Whether the last thing that came was a single line break: half a ping, perhaps."""
        self._awaiting = False
        self.pings = 0
        """Pings that have come since the start."""
        self.pongs = 0
        """Answers to our pings since the start."""
        self.fault: CutShort | None = None
        """Why nothing more can be read."""

    @property
    def begun(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer)

    def pinged(self) -> None:
        """We have sent a ping; a single line break will be its answer."""
        self._awaiting = True

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; gives the messages that it completes. Look at ``fault`` afterwards."""
        messages: list[bytes] = []
        if self.fault is not None:
            return messages
        self._buffer += data
        try:
            while self._complete():
                messages.append(bytes(self._buffer[: self._need]))
                del self._buffer[: self._need]
                self._head = self._need = self._searched = 0
        except CutShort as fault:
            self.fault = fault
        return messages

    def _complete(self) -> bool:
        if not self._head:
            self._take_breaks()
            if not self._buffer or not self._find_head():
                return False
        return len(self._buffer) >= self._need

    def _take_breaks(self) -> None:
        """Take the line breaks in front of a message (section 7.5): two are a ping, a single one may be a pong."""
        buffer = self._buffer
        if not buffer.startswith(b"\r"):
            self._half = self._half and not buffer
            return
        length = len(buffer) - len(buffer.lstrip(b"\r\n"))
        breaks = length // 2
        if buffer[: 2 * breaks] != PONG * breaks or (length % 2 and length < len(buffer)):
            raise CutShort(400, "Bare line break between messages", bytes(buffer[:length]))
        del buffer[: 2 * breaks]
        if breaks:
            pings, single = divmod(breaks + self._half, 2)
            self.pings += pings
            self._half = bool(single) and (not buffer or buffer == b"\r")
            if self._half and self._awaiting:
                self.pongs += 1
                self._half = self._awaiting = False

    def _find_head(self) -> bool:
        """Look for the end of the head, and read in it how long the message is."""
        buffer = self._buffer
        limit = self._limits.head_bytes_max
        end = buffer.find(b"\r\n\r\n", self._searched, limit)
        if end < 0:
            if len(buffer) >= limit:
                raise CutShort(513, "Message Too Large", bytes(buffer[:limit]))
            self._searched = max(0, len(buffer) - 3)
            return False
        head = bytes(buffer[: end + 4])
        self._need = len(head) + _body_length(head, self._limits)
        self._head = len(head)
        return True


def _body_length(head: bytes, limits: SizeLimits) -> int:
    breaks = head.count(b"\r\n")
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise CutShort(400, "Line break or NUL inside a line", head)
    values = _LENGTH.findall(head)
    if len(values) != 1:
        raise CutShort(400, "More than one Content-Length" if values else "Content-Length is missing", head)
    value = values[0].strip(b" \t\r\n")
    if len(value) > 9 or not value.isdigit():
        raise CutShort(400, "Content-Length is not a number", head)
    length = int(value)
    if length > limits.body_bytes_max:
        raise CutShort(513, "Message Too Large", head)
    return length
