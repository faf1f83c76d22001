"""Hashed secrets (HA1) as they are written in a site file."""

from __future__ import annotations

import re

from mediaha.tca.lines import KeyPath
from mediaha.tca.reading import Reading

HASH_LENGTHS = {"md5": 32, "sha256": 64}
"""Hexadecimal digits of each hash, by its key."""
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]*")


def report_hash(reading: Reading, path: KeyPath, whose: str, written: str, hint: str) -> None:
    """Whether this can be the hash that its key, the end of the path, says."""
    key = str(path[-1])
    if len(written) != HASH_LENGTHS[key] or _HEXADECIMAL.fullmatch(written) is None:
        reading.mistake(path, f"{whose}: {key!r} is not a hash of {HASH_LENGTHS[key]} hexadecimal digits", hint)
