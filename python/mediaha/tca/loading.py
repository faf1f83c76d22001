"""Load a site file: the doer that reads it, and the pure ``site_from_text`` that judges it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mediaha.model.site import Site
from mediaha.tca.checking import checked_site
from mediaha.tca.mistakes import Mistake, SiteMistakes
from mediaha.tca.reading import TEXT_BYTES_MAX, Reading

OPEN = "everybody on this machine can read the hashes of users' secrets, and pass for them"


def load_site(file: Path) -> tuple[Site, tuple[Mistake, ...]]:
    """The site of ``file`` and the warnings about it.

    Raises SiteMistakes with every mistake when there is one, or when the file cannot be read.
    """
    source = str(file)
    try:
        with file.open("rb") as opened:
            content = opened.read(TEXT_BYTES_MAX + 1)
            is_open = bool(os.fstat(opened.fileno()).st_mode & stat.S_IROTH)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SiteMistakes(source, [Mistake(0, f"cannot be read: {why}")]) from error
    if len(content) > TEXT_BYTES_MAX:
        raise SiteMistakes(source, [Mistake(0, f"is larger than {TEXT_BYTES_MAX} bytes, so it is no site file")])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SiteMistakes(source, [Mistake(line, "is not UTF-8 text here")]) from error
    site, warnings = site_from_text(text, source)
    if site.users and is_open:
        warnings = (Mistake(0, OPEN, f"chmod o-r {source}", warning=True), *warnings)
    return site, warnings


def site_from_text(text: str, source: str = "site.toml") -> tuple[Site, tuple[Mistake, ...]]:
    """The site that ``text`` describes and the warnings about it. ``source`` is named in the mistakes.

    Raises SiteMistakes with every mistake when there is one.
    """
    # From where the file is read must change nothing, or a reload would seem to have changed paths.
    reading = Reading(text.replace("\r\n", "\n"), Path(source).absolute().parent)
    site = checked_site(reading) if not _is_unreadable(reading) else None
    if site is None or any(not mistake.warning for mistake in reading.mistakes):
        raise SiteMistakes(source, reading.mistakes)
    return site, tuple(sorted(reading.mistakes))


def _is_unreadable(reading: Reading) -> bool:
    """Not TOML at all: nothing more can be said about its content."""
    return not reading.document and bool(reading.mistakes)
