"""What is wrong with a site file: each mistake with its line and, where one can be guessed, what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from mediaha.model.errors import MediahaError


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing to change. ``line`` counts from 1; 0 means the file as a whole. Mistakes sort by line."""

    line: int
    text: str
    hint: str | None = None
    """What to write instead, as a phrase that can follow the text."""
    warning: bool = False
    """True for what is odd but works."""

    def __str__(self) -> str:
        said = hinted(self.text, self.hint)
        return f"warning: {said}" if self.warning else said


class SiteMistakes(MediahaError):
    """A site file cannot be used. ``mistakes`` are all that were found, in the order of their lines."""

    def __init__(self, source: str, mistakes: Iterable[Mistake]) -> None:
        self.source = source
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.warning, mistake.line)))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """``FILE:LINE: what is wrong; what to write``, the way editors and compilers write places."""
        return [placed(self.source, mistake) for mistake in self.mistakes]


def placed(source: str, mistake: Mistake) -> str:
    """The mistake in the way editors can jump to: ``site.toml:12: unknown key 'colour'; did you mean …``."""
    return f"{source}:{mistake.line}: {mistake}" if mistake.line else f"{source}: {mistake}"


def hinted(text: str, hint: str | None) -> str:
    """What is wrong, and what to do instead where that is known."""
    return f"{text}; {hint}" if hint else text


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest of ``known``, or all of them when there are few, or nothing."""
    names = sorted(set(known))
    if (close := closest(wrong, names)) is not None:
        return f"did you mean {close!r}?"
    if 0 < len(names) <= FEW_ENOUGH_TO_LIST:
        return "known here: " + ", ".join(names)
    return None


def closest(wrong: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that was most likely meant, if any is near enough to say so."""
    cutoff = 0.5 if len(wrong) <= 3 else 0.6  # one letter of two is wrong in "nq"
    close = difflib.get_close_matches(wrong, sorted(known), n=1, cutoff=cutoff)
    return close[0] if close else None


FEW_ENOUGH_TO_LIST = 12
