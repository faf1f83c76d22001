"""Whether a host has the secrets that its trunks need, and keeps them from others' eyes. Looks at files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mediaha.model.site import Site
from mediaha.model.trunk import Credentials
from mediaha.tca.lines import line_of, positions
from mediaha.tca.mistakes import Mistake

UNANSWERED = "its questions who we are stay unanswered"


def secret_warnings(file: Path, site: Site, host: str) -> tuple[Mistake, ...]:
    """Warnings about the secrets of trunks, when ``host`` has a NeTS, with the lines of ``file`` that name them."""
    if all(nets.host != host for nets in site.nets):
        return ()
    try:
        lines = positions(file.read_text().replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError):
        lines = {}
    found = []
    for index, trunk in enumerate(site.trunks):
        if trunk.credentials is not None:
            for key, text, hint in _doubts(trunk.credentials):
                line = line_of(lines, ("trunks", index, key))
                found.append(Mistake(line, f"trunk {trunk.name!r}: {text}", hint, warning=True))
    return tuple(found)


def _doubts(credentials: Credentials) -> Iterator[tuple[str, str, str]]:
    """Key, doubt and hint."""
    secret = credentials.secret_file
    if secret is not None:
        try:
            found = secret.stat()
        except OSError as error:
            yield "secret_file", f"{secret} cannot be read: {(error.strerror or str(error)).lower()}", UNANSWERED
            return
        if not found.st_size:
            yield "secret_file", f"{secret} is empty", UNANSWERED
        if found.st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield "secret_file", f"everybody on this machine can read {secret}", f"chmod o-rwx {secret}"
    elif credentials.secret_env is not None and not os.environ.get(credentials.secret_env):
        yield "secret_env", f"the environment has no {credentials.secret_env} here", UNANSWERED
