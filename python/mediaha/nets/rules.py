"""What NeTS says about itself and how long it waits: the arguments of every decision that are not the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mediaha.model.sip import SipSettings
from mediaha.model.site import Timings
from mediaha.sip.target import UDP, Place, Target

ALLOWED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "MESSAGE", "PRACK", "REFER")
"""Methods that NeTS takes; written into Allow."""

SUPPORTED = ("100rel", "norefersub", "replaces", "timer")
"""Extensions that a peer may require of us (section 8.2.2.3); written into Supported."""

KNOWN_ELSEWHERE = frozenset({"NOTIFY", "PUBLISH", "REGISTER", "SUBSCRIBE"})
"""Methods that NeTS knows but does not take: 405; whatever else is unknown: 501 (RFC 3261 section 8.2.1, 21.5.2)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take (seconds), and how many of a thing there may be."""

    calls_max: int = 10_000
    behind_s_max: float = 0.5
    """For so long more messages may come than we read, as when many calls move at once; then new calls are refused."""
    ring_s_max: float = 180.0
    """From the first ringing to the answer; then the callee is cancelled and the caller gets 480."""
    target_s_max: float = 4.0
    """Without any response a target is passed over for the next one, if there is a next one (N4)."""
    phone_s_max: float = 20.0
    """How long a user's phones may ring while others of a lower q wait for their turn."""
    request_s_max: float = 32.0
    """64 * T1: for an ACK, for a final response to our own INVITE inside a dialog, and after CANCEL."""
    stranded_s_max: float = 30.0
    """How long a call without media is kept while the pool looks for a server."""
    session_s: int = 1800
    """The session interval that we ask for (RFC 4028): a party that is gone is noticed within it."""
    session_s_min: int = 90
    """The smallest interval that we take; less than 90 s is against the RFC."""
    crossing_s_max: float = 0.5
    """So long a party's re-INVITE waits for another INVITE that it has crossed, before it gets 491."""
    glare_max: int = 8
    """So often in a row a party may put our re-INVITE off with 491, or with a Retry-After."""
    failures_max: int = 2
    """So often in a row it may answer 500."""
    passing_max: int = 16
    """INFO and MESSAGE on their way through a call at once; more get 500 with Retry-After."""
    redirects_max: int = 5
    """So many 3xx of a call are followed; the next one is the caller's."""
    transfers_max: int = 10
    """So many transfers in a row may lead to a call: who is transferred by machines in a circle ends somewhere."""
    notify_s_max: float = 4.0
    """For a referrer's response to a NOTIFY: it has had its 202 a moment ago, and its BYE waits for this."""
    travel_s: float = 0.5
    """A party that goes on in another call is not asked there until what it was asked here is over."""
    retry_after_s: int = 5
    """Told to callers when NeTS cannot take a call now."""
    story_entries_max: int = 200
    stories_max: int = 2_000
    """Calls that have ended and can still be explained; the oldest is forgotten first."""

    @classmethod
    def of(cls, timings: Timings, sip: SipSettings | None = None) -> Limits:
        """The limits that a site sets; the rest as they are here."""
        sip = sip or SipSettings()
        return cls(
            calls_max=sip.calls_max,
            ring_s_max=timings.ring_s_max,
            request_s_max=64 * sip.t1_ms / 1000,
            session_s=timings.session_s,
            session_s_min=timings.session_s_min,
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What a decision needs besides the call and the time."""

    contact: str
    """The URI of NeTS that goes into Contact: ``sip:nets@192.0.2.1:5060``, over the first listener ..."""
    host: str
    """The advertised host, for the o= line of what NeTS sends: an IP address or a name."""
    limits: Limits = field(default_factory=Limits)
    contacts: Mapping[str, str] = field(default_factory=dict)
    """... and over each, by the listener's name, and by the transport and family of addresses that it serves."""

    def contact_to(self, target: Target | None, *, secure: bool = False) -> str:
        """Our Contact for whoever is at this target: they find us by the transport that leads to them.

        ``secure``: as ``sips``, which means TLS and does not say so again (RFC 5630 section 5.1.1.1).
        """
        if target is None:
            return self.contact
        found = self.contacts.get(target.listener)
        found = found or self.contacts.get(_kind(target.transport, target.address.host), self.contact)
        return f"sips{found.removeprefix('sip').partition(';')[0]}" if secure else found


def contacts_of(places: Iterable[Place]) -> dict[str, str]:
    """Our Contacts: see ``Rules.contacts``. Over UDP the URI says no transport: that is what everybody assumes."""
    found: dict[str, str] = {}
    for place in places:
        transport = "" if place.transport == UDP else f";transport={place.transport.lower()}"
        contact = f"sip:nets@{place.sent_by}{transport}"
        found[place.name] = contact
        found.setdefault(_kind(place.transport, "::" if place.ipv6 else ""), contact)
    return found


def _kind(transport: str, host: str) -> str:
    return f"{transport} {6 if ':' in host else 4}"
