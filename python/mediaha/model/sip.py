"""How the SIP of every NeTS of a site behaves: timers, and what strangers may do. Units are in the names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SipSettings:
    """The timers are those of RFC 3261 table 4, with its defaults."""

    t1_ms: int = 500
    t2_ms: int = 4000
    t4_ms: int = 5000
    timer_b_s: float | None = None
    """How long an INVITE of ours may be without any response; None: 64 * T1."""
    timer_d_s: float = 32.0
    timer_f_s: float | None = None
    """How long another request of ours may be without its final response; None: 64 * T1."""
    datagram_bytes_max: int = 1300
    """Larger requests go over TCP where there is a TCP listener (section 18.1.1)."""
    calls_max: int = 10_000
    """Of one NeTS; further ones are refused with 503."""
    trusted: tuple[str, ...] = ()
    """Addresses that may send as much as they like, beside this machine and the targets of trunks and domains."""
    messages_per_s: float = 50.0
    """What any other source may send in the long run; 0: no limit."""
    messages_burst: int = 200
    """The same at once, after a rest."""
    strangers_per_s: float = 500.0
    """For all sources together that find no place among the ``sources_max``."""
    strangers_burst: int = 1000
    sources_max: int = 20_000
    connections_max: int = 10_000
    """Of one listener, TCP or TLS."""
    source_connections_max: int = 1_000
    """The same from one address ..."""
    source_silent_max: int = 100
    """... and of those that have not sent a message yet."""
    open_s_max: float = 4.0
    """To connect, TLS handshake included."""
    first_message_s_max: float = 10.0
    message_s_max: float = 10.0
    """From the first byte of a message to its last."""
    idle_s_max: float = 1_800.0
    keepalive_s: float = 110.0
    """How often connections that we opened are kept alive (RFC 5626 section 4.4.1)."""
