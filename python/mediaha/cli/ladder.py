"""A call's messages as a ladder: a column for NeTS and one for each party, an arrow for each message. Decides.

New parties get a column when they are first heard of; the heading is printed again then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from mediaha.sip.trace import Traced

GAP_MIN, GAP_MAX = 26, 40
TIME_WIDTH = 13
PARTIES_MAX = 6
"""More of them, and the last column is for all the others."""

_CSEQ = re.compile(rb"(?im)^cseq[ \t]*:[ \t]*\d+[ \t]+(\S+)")
_SDP = re.compile(rb"(?im)^m=")


class Ladder:
    """The lines of a ladder, made message by message."""

    def __init__(self, width: int, nets: str = "NeTS") -> None:
        """``width`` is the terminal's, in characters."""
        self._width = width
        self._nets = nets
        self._parties: list[str] = []

    def lines(self, traced: Traced) -> Iterator[str]:
        """The line of a message, and before it the heading, if there is a new party."""
        party = str(traced.flow)
        if party not in self._parties and len(self._parties) < PARTIES_MAX:
            self._parties.append(party)
            yield self._heading()
        column = self._column(self._parties.index(party) if party in self._parties else len(self._parties) - 1)
        clock = datetime.fromtimestamp(traced.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
        yield f"{clock:<{TIME_WIDTH}}{self._rung(column, what(traced.message), traced.received)}".rstrip()

    def _column(self, party: int) -> int:
        """The caller is on the left of NeTS, everybody else on the right."""
        return 0 if party == 0 else party + 1

    def _gap(self) -> int:
        columns = len(self._parties) + 1
        return max(GAP_MIN, min(GAP_MAX, (self._width - TIME_WIDTH - 22) // max(1, columns - 1)))

    def _heading(self) -> str:
        names = [self._parties[0], self._nets, *self._parties[1:]]
        gap = self._gap()
        return " " * (TIME_WIDTH - 2) + "".join(f"{name:<{gap}}" for name in names).rstrip()

    def _rung(self, column: int, text: str, received: bool) -> str:
        gap, columns = self._gap(), len(self._parties) + 1
        row = [" "] * (gap * (columns - 1) + 1)
        for index in range(columns):
            row[index * gap] = "│"
        left, right = sorted((column, 1))
        rightwards = received == (column < 1)
        span = (right - left) * gap - 1
        label = f" {text[: span - 3]} "
        bare = label.center(span - 1, "─")
        arrow = f"{bare}▶" if rightwards else f"◀{bare}"
        row[left * gap + 1 : right * gap] = list(arrow)
        return "".join(row)


def what(message: bytes) -> str:
    """A message in a few words: ``INVITE sip:4711@example.test, SDP``, ``200 OK (INVITE)``."""
    first = message.partition(b"\r\n")[0].decode("utf-8", "replace")
    sdp = ", SDP" if _SDP.search(message) else ""
    if first.startswith("SIP/2.0 "):
        method = _CSEQ.search(message)
        of = f" ({method[1].decode('ascii', 'replace')})" if method else ""
        return _printable(f"{first[8:]}{of}{sdp}")
    method_and_uri = first.removesuffix(" SIP/2.0")
    return _printable(f"{method_and_uri}{sdp}" if len(method_and_uri) < 28 else f"{first.split(' ')[0]}{sdp}")


def _printable(text: str) -> str:
    """Nobody who sends us a message is to write to a person's terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
