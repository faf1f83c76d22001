"""Header field values (RFC 3261 section 25): Via, From/To/Contact/Route, CSeq, lists and quoted text.

The readers are Rust's (``rust/sip``). Each takes the text of one value, raises Malformed, and goes through it once,
so hostile text costs no more than its length.
"""

from __future__ import annotations

from mediaha._core import (
    CSeq,
    NameAddr,
    Via,
    cseq_untrusted,
    is_token,
    name_addr_untrusted,
    split_commas,
    via_untrusted,
)

__all__ = [
    "MAGIC_COOKIE",
    "CSeq",
    "NameAddr",
    "Via",
    "cseq_untrusted",
    "is_token",
    "name_addr_untrusted",
    "name_addrs_untrusted",
    "quoted",
    "split_commas",
    "via_untrusted",
]

MAGIC_COOKIE = "z9hG4bK"


def name_addrs_untrusted(values: list[str]) -> list[NameAddr]:
    """Read the values of all fields of a kind (Contact, Route, Record-Route), each of which may hold several."""
    return [name_addr_untrusted(part) for value in values for part in split_commas(value)]


def quoted(text: str) -> str:
    """The text as a quoted-string, for a Reason or Warning header. Control characters become spaces."""
    clean = "".join(letter if letter >= " " and letter != "\x7f" else " " for letter in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
