"""Session timers (RFC 4028), one leg's: what the headers say, who refreshes, and when the session is over.

A refresh is a request that a party must answer; if no side asks any more, or nobody answers, the session expires.
Here are the rules of the negotiation, without a call: see ``refresh.py`` for what comes of them.
"""

from __future__ import annotations

from typing import Literal

from mediaha.model.value import Value
from mediaha.nets.headers import Pairs
from mediaha.sip.fields import split_commas
from mediaha.sip.message import Message, Response

INTERVAL_MAX = 2**31 - 1

Refresher = Literal["uac", "uas", ""]


class Asked(Value, frozen=True):
    """What a party's INVITE or UPDATE says about the session's timer."""

    interval: int = 0
    """Session-Expires in seconds; 0: it does not ask for a timer, or not in words that can be read."""
    refresher: Refresher = ""
    minimum: int = 0
    """Min-SE: the smallest interval that everybody on the way takes."""
    supported: bool = False
    """Whether the party can refresh, and understands 422."""

    @property
    def aware(self) -> bool:
        """Whether somebody on that side knows what a session timer is."""
        return self.supported or self.interval > 0


class Expiry(Value, frozen=True):
    """The timer of one leg's session, since it was last refreshed."""

    interval: float
    """Seconds from a refresh to the end."""
    ours: bool
    """We refresh; otherwise the party does, and we wait for it."""
    agreed: bool
    """The party has agreed to a timer. Otherwise we only ask now and then whether it is still there."""
    refresh_at: float | None
    """When we refresh; None while our refresh is under way, or when it is the party's."""
    until: float | None
    """When the session is over if nothing has refreshed it; None: it does not end by itself."""


def asked_untrusted(message: Message) -> Asked:
    """What the message says about the session's timer. What cannot be read was not said."""
    headers = message.headers
    interval, _, parameters = (headers.get("Session-Expires") or "").partition(";")
    if not interval and "Supported" not in headers and "Require" not in headers:
        return NOTHING_ASKED
    return Asked(
        _seconds(interval),
        _refresher(parameters),
        minimum_untrusted(message),
        "timer" in options_untrusted(message, "Supported", "Require"),
    )


NOTHING_ASKED = Asked()


def minimum_untrusted(message: Message) -> int:
    """Min-SE in seconds; 0 when there is none that can be read."""
    return _seconds((message.headers.get("Min-SE") or "").partition(";")[0])


def options_untrusted(message: Message, *fields: str) -> list[str]:
    """The option tags in these fields of a message (``Supported``, ``Require``), in lower case."""
    values = [value for field in fields for value in message.headers.all(field)]
    return [option.strip().lower() for value in values for option in value.split(",")]


def methods_untrusted(message: Message) -> frozenset[str] | None:
    """The methods in Allow; None when there is none: then nobody knows."""
    values = message.headers.all("Allow")
    if not values:
        return None
    return frozenset(method.strip() for value in values for method in split_commas(value))


def is_too_small(asked: Asked, minimum: int) -> bool:
    """Whether a request must be refused with 422 and our Min-SE (section 9)."""
    return asked.supported and 0 < asked.interval < minimum


def as_server(asked: Asked, *, wanted: int, minimum: int, now: float) -> tuple[Expiry, Pairs]:
    """What we agree to in our 2xx to a request that is not too small, and how the 2xx says so (section 9).

    The interval is ours if the request leaves room for it: never more than it asks for, never less than its Min-SE.
    """
    # Less than our minimum, from somebody who would not understand a 422: then there is no timer.
    if not asked.aware or 0 < asked.interval < minimum:
        return unaware(wanted, now), ()
    interval = max(wanted, asked.minimum)
    if asked.interval:
        interval = min(interval, asked.interval)
    theirs = asked.supported and asked.refresher != "uas"
    field = ("Session-Expires", f"{interval};refresher={'uac' if theirs else 'uas'}")
    pairs = (("Require", "timer"), field) if theirs else (field,)
    return agreed(interval, ours=not theirs, now=now), pairs


def as_client(response: Response, *, wanted: int, minimum: int, now: float) -> Expiry:
    """What a party has agreed to in its 2xx to our request (section 7.2)."""
    interval, _, parameters = (response.headers.get("Session-Expires") or "").partition(";")
    seconds = _seconds(interval)
    if not seconds:
        return unaware(wanted, now)
    # Less than we have said to be our minimum is against the rules; refreshing that often would be a burden.
    return agreed(max(seconds, minimum), ours=_refresher(parameters) != "uas", now=now)


def request_fields(expiry: Expiry | None, *, wanted: int, minimum: int) -> Pairs:
    """What our own INVITE or UPDATE says. Inside a session it names who refreshes: that stays (section 7.4)."""
    interval = max(wanted, minimum)
    role = ""
    if expiry is not None and expiry.agreed:
        interval = max(int(expiry.interval), minimum)
        role = ";refresher=uac" if expiry.ours else ";refresher=uas"
    return (("Session-Expires", f"{interval}{role}"), ("Min-SE", str(minimum)))


def agreed(interval: float, *, ours: bool, now: float) -> Expiry:
    """A timer that both sides know of. It ends a little early, as section 10 recommends."""
    until = now + interval - min(32.0, interval / 3)
    return Expiry(interval, ours, agreed=True, refresh_at=now + interval / 2 if ours else None, until=until)


def unaware(interval: float, now: float) -> Expiry:
    """No timer for a party that knows of none: we ask, in the same rhythm, whether it is still there."""
    return Expiry(interval, ours=True, agreed=False, refresh_at=now + interval / 2, until=None)


def _seconds(text: str) -> int:
    text = text.strip()
    # Ten digits bound the conversion, and the value is a 32-bit number (RFC 4028 section 4).
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return 0
    return min(int(text), INTERVAL_MAX)


def _refresher(parameters: str) -> Refresher:
    for part in parameters.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "refresher":
            said = value.strip().lower()
            return "uac" if said == "uac" else "uas" if said == "uas" else ""
    return ""
