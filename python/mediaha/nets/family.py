"""IPv4 or IPv6: what a party is reached by, so that its media server gives it an address that it can send to.

The signalling of a leg says it first: who is called at an IPv6 address gets one. What the party itself has written
into its SDP counts more. When a callee answers in another family than the one in which it was offered media, it is
told again by re-INVITE: see ``relay.py``. Several phones that ring together have one offer: see ``counteroffer.py``.
"""

from __future__ import annotations

import re

from mediaha.model.media import Family
from mediaha.nets.call import Leg
from mediaha.sip.target import Target

# On hold by the unspecified address (RFC 2543), a party says nothing of where it is.
_ADDRESS = re.compile(rb"^c=IN (IP4 (?!0\.0\.0\.0\b)[0-9.]+|IP6 (?!(?:0*:)+0*\s*$)[0-9a-fA-F:.]+)\s*$", re.MULTILINE)


def family_of(sdp: bytes) -> Family | None:
    """The family of the first address in an SDP that media could be sent to; None: it has none."""
    found = _ADDRESS.search(sdp)
    return None if found is None else Family(found[1][:3].decode())


def other_family(one: bytes, other: bytes) -> bool:
    """Whether two SDPs have nothing but addresses of different families."""
    mine, theirs = family_of(one), family_of(other)
    return mine is not None and theirs is not None and mine is not theirs


def family_at(target: Target) -> Family:
    """The family of the way to somebody."""
    return Family.IPV6 if ":" in target.address.host else Family.IPV4


def reached_by(leg: Leg) -> Family | None:
    """What a party is reached by, as far as it is known."""
    said = family_of(leg.sdp) or family_of(leg.told)
    return said or (None if leg.met is None else family_at(leg.met))
