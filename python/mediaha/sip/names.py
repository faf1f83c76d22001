"""Header names, their compact forms, and reason phrases, as RFC 3261 and its extensions spell them."""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

SINGLE = frozenset(
    {"call-id", "content-length", "content-type", "cseq", "expires", "from", "max-forwards", "min-expires", "to"}
)
"""Headers of which a message may hold one only; a second is an error and not a choice (RFC 4475 section 3.3.8)."""

_METHODS = frozenset(
    {
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    }
)

_REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


@lru_cache(maxsize=1024)
def key_of(name: str) -> str:
    """The name under which a header is looked up: lower case, compact forms written out."""
    lower = name.lower()
    return _COMPACT.get(lower, lower)


def is_token(text: str) -> bool:
    """Whether the text is a ``token`` of the grammar: a method, a tag, the name of a header or a parameter."""
    return _TOKEN.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def key_untrusted(name: str) -> str:
    """`key_of` a name from the network; empty when it is no token. Cached: everybody uses the same thirty names."""
    return key_of(name) if is_token(name) else ""


def is_method(text: str) -> bool:
    """Whether the text can be a method; the usual ones are known by heart."""
    return text in _METHODS or is_token(text)


def reason_of(status: int) -> str:
    """The reason phrase of a status code; of its class when the code is unknown (RFC 3261 section 8.1.3.2)."""
    return _REASONS.get(status) or _REASONS.get(status // 100 * 100, "Unknown")
