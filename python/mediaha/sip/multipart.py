"""Bodies of several parts (RFC 2046 section 5.1, RFC 5621): which of them is the session description.

Beside it, call managers put what concerns others: where the caller is (RFC 6442), an ISUP message (RFC 3204).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PARTS_MAX = 16
DEPTH_MAX = 3
"""Parts may have parts themselves; deeper than this nobody looks."""

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.){1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})


def is_multipart(content_type: str) -> bool:
    """Whether a Content-Type, with or without its parameters, says that the body has parts."""
    return content_type.lstrip().lower().startswith("multipart/")


def session_untrusted(content_type: str, body: bytes, depth: int = 1) -> bytes:
    """The session description in a body of parts; empty: there is none, or the body cannot be taken apart.

    ``content_type`` is the header with its parameters. Of alternatives the last one counts, which is the best (RFC
    2046 section 5.1.4). A description of an early session (RFC 3959) is none of the session's.
    """
    best = b""
    for fields, content in _parts(content_type, body):
        kind = fields.get("content-type", "")
        if is_multipart(kind):
            found = session_untrusted(kind, content, depth + 1) if depth < DEPTH_MAX else b""
        else:
            found = content if _is_session(kind, fields) else b""
            if found and not found.endswith(b"\n"):
                found += b"\r\n"  # the line break before a boundary belongs to the boundary
        best = found or best
        if best and not content_type.lstrip().lower().startswith("multipart/alternative"):
            break
    return best


def _is_session(kind: str, fields: dict[str, str]) -> bool:
    disposition = _first_word(fields.get("content-disposition", ""))
    coding = _first_word(fields.get("content-transfer-encoding", ""))
    return _first_word(kind) == "application/sdp" and disposition in {"", "session"} and coding in _AS_IT_IS


def _first_word(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _parts(content_type: str, body: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Header fields, their names in lower case, and content of each part."""
    named = _BOUNDARY.search(content_type)
    if named is None:
        return
    boundary = re.sub(r"\\(.)", r"\1", named[1]) if named[1] is not None else named[2]
    delimiter = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|$)")
    found = list(delimiter.finditer(body))
    for number, begin in enumerate(found[:PARTS_MAX]):
        if begin[1] is not None:
            return
        end = found[number + 1].start() if number + 1 < len(found) else len(body)
        head, blank, content = _cut(body[begin.end() : end])
        if blank:
            yield _fields(head), content


def _cut(part: bytes) -> tuple[bytes, bytes, bytes]:
    blank = _BLANK_LINE.search(part)
    return (part, b"", b"") if blank is None else (part[: blank.start()], blank[0], part[blank.end() :])


def _fields(head: bytes) -> dict[str, str]:
    lines = _FOLD.sub(" ", head.decode("latin-1")).splitlines()
    return {
        name.strip().lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon
    }
