"""Which headers go from one leg to the other, and which refusals mean what.

The topology behind NeTS is hidden by an allow list: whatever is not named here stays on its leg.
"""

from __future__ import annotations

from collections.abc import Iterable

from mediaha.nets.rules import ALLOWED, SUPPORTED
from mediaha.sip.fields import quoted
from mediaha.sip.message import Message

END_TO_END = frozenset(
    {
        "accept-language",
        "alert-info",
        "answer-mode",
        "call-info",
        "diversion",
        "error-info",
        "geolocation",
        "history-info",
        "in-reply-to",
        "organization",
        "p-asserted-identity",
        "p-early-media",
        "p-preferred-identity",
        "priority",
        "privacy",
        "reason",
        "resource-priority",
        "session-id",
        "subject",
        "user-to-user",
        "warning",
    }
)
"""Passed on in requests and responses alike."""

OF_REFUSALS = frozenset({"accept", "accept-encoding", "contact", "retry-after", "unsupported"})
"""Passed on in final responses from 300 as well: they say what would have been acceptable, or where to go."""

OF_BODIES = frozenset({"content-disposition", "content-language", "content-type", "info-package"})
"""Passed on with a body that is passed on (INFO, MESSAGE)."""

SDP_TYPE = ("Content-Type", "application/sdp")
ACCEPT = ("Accept", "application/sdp, multipart/mixed")
ALLOW = ("Allow", ", ".join(ALLOWED))
ABILITIES = (ALLOW, ("Supported", ", ".join(SUPPORTED)))
"""What we say about ourselves wherever a dialog begins or a session changes ..."""
UNRELIABLY = (ALLOW, ("Supported", ", ".join(option for option in SUPPORTED if option != "100rel")))
"""... except in an INVITE whose provisional responses we would not acknowledge."""

Pairs = tuple[tuple[str, str], ...]


def passed_on(message: Message, *more: Iterable[str]) -> Pairs:
    """The fields of a message that the other party may see.

    What points to a part of the body (RFC 2392) stays on its leg, as that part does: who is told of a place that is
    not there may refuse the call for it (RFC 6442 section 4.3).
    """
    names = END_TO_END.union(*more) if more else END_TO_END
    return tuple((name, value) for name, value in message.headers if name.lower() in names and "<cid:" not in value)


def session_of(message: Message) -> str:
    """The sender's part of Session-ID (RFC 7989), as it goes from end to end; empty: there is none."""
    return (message.headers.get("Session-ID") or "").partition(";")[0].strip().lower()[:64]


def reason_of(cause: int, text: str) -> tuple[str, str]:
    """A Reason header that gives a SIP status as the cause (RFC 3326)."""
    return ("Reason", f"SIP;cause={cause};text={quoted(text)}")


def warning_of(text: str) -> tuple[str, str]:
    """A Warning header with a text for people (RFC 3261 section 20.43)."""
    return ("Warning", f"399 mediaha {quoted(text)}")


def seconds_of(retry_after: str | None) -> float | None:
    """The delay a Retry-After asks for, None when there is none that can be read. At most a minute is believed."""
    digits = (retry_after or "").partition(";")[0].partition("(")[0].strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return None
    return min(float(digits), 60.0)
