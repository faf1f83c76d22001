"""Who is calling, as each side may know it (RFC 3323, RFC 3325), and by which ways a call has come.

from a peer that is not trusted:   what it asserts is not passed on: anybody could write that
to one that is trusted:            all of it, and what privacy is asked for, which that peer will see to
to one that is not:                no asserted identity, unless the caller has asked for none of this; a caller who
                                   has asked for privacy calls from nowhere
to a phone of a user:              as to one that is not trusted, but it may show who calls when nobody minds
"""

from __future__ import annotations

from mediaha.nets.destination import Destination
from mediaha.nets.headers import Pairs

ASSERTED = frozenset({"p-asserted-identity", "p-preferred-identity"})
HISTORY = frozenset({"diversion", "history-info"})
TELLING = frozenset({"call-info", "organization", "referred-by"})
"""What else says who somebody is (RFC 3323 section 4.1)."""
WANTED = frozenset({"header", "id", "user"})
"""Kinds of privacy that are seen to here. Where the media is (``session``) nobody is told anyway."""
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def believed(headers: Pairs, *, trusted: bool) -> Pairs:
    """What a peer has said, without what only a trusted one may say."""
    return headers if trusted else _without(headers, ASSERTED)


def caller_for(calling: str, headers: Pairs, target: Destination) -> tuple[str, Pairs]:
    """From, and the other headers, of an INVITE to this target."""
    hidden: frozenset[str] = frozenset() if target.history else HISTORY
    if target.trusted:
        return calling, _without(headers, hidden)
    privacy = _privacy(headers)
    if not privacy.isdisjoint(WANTED):
        return ANONYMOUS, _without(headers, hidden | ASSERTED | HISTORY | TELLING)
    if not target.is_phone and "none" not in privacy:
        hidden |= ASSERTED
    return calling, _without(headers, hidden)


def callee_for(headers: Pairs, target: Destination, *, trusted: bool) -> Pairs:
    """What a target's response says, as the caller may know it. ``trusted``: the caller."""
    if not target.history:
        headers = _without(headers, HISTORY)
    if not target.trusted:
        headers = _without(headers, ASSERTED)
    if trusted or _privacy(headers).isdisjoint(WANTED):
        return headers
    return _without(headers, ASSERTED | HISTORY | TELLING)


def _privacy(headers: Pairs) -> frozenset[str]:
    values = [value for name, value in headers if name.lower() == "privacy"]
    return frozenset(one.strip().lower() for value in values for one in value.replace(",", ";").split(";"))


def _without(headers: Pairs, names: frozenset[str]) -> Pairs:
    return tuple(pair for pair in headers if pair[0].lower() not in names) if names else headers
