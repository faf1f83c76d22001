"""The bytes of an input, read as choices. Past the end there are zeros, so that every input is a program."""

from __future__ import annotations


class Script:
    """What a fuzzer wants to happen. A zero is always the usual choice, so that short programs are sensible ones."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        at = self._at
        self._at += 1
        return self._data[at] if at < len(self._data) else 0

    def pick(self, of):
        """One of these; the first is the usual one."""
        return of[self.byte() % len(of)]

    def mostly(self, of):
        """The first of these two times of three, else any."""
        drawn = self.byte()
        return of[0] if drawn < 170 else of[drawn % len(of)]

    def latest(self, of):
        """One of what has come about so far; zero is the newest, and so is most else."""
        drawn = self.byte()
        return of[-1] if drawn < 170 else of[-1 - drawn % len(of)]

    def rarely(self) -> bool:
        return self.byte() % 16 == 15

    def piece(self) -> bytes:
        """Bytes of the script as they are."""
        length = self.byte()
        at = self._at
        self._at += length
        return self._data[at : at + length]
