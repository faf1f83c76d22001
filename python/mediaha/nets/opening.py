"""From what the site says about SIP to the parts that a NeTS is opened with: timers, limits, who is turned away."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from mediaha.model.sip import SipSettings
from mediaha.nets.gate import Gate
from mediaha.sip.rate import RateLimit, RateLimits
from mediaha.sip.transaction.servers import Limits as TransactionLimits
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transport.patience import StreamLimits

LOOPBACK = ("127.0.0.1", "::1")
"""Nobody else can send from there."""


def timers_of(sip: SipSettings) -> Timers:
    """The transactions' timers."""
    return Timers(
        t1=sip.t1_ms / 1000,
        t2=sip.t2_ms / 1000,
        t4=sip.t4_ms / 1000,
        b=sip.timer_b_s,
        d=sip.timer_d_s,
        f=sip.timer_f_s,
    )


def transaction_limits_of(sip: SipSettings) -> TransactionLimits:
    """How large a request over UDP may be."""
    return TransactionLimits(datagram_bytes_max=sip.datagram_bytes_max)


def stream_limits_of(sip: SipSettings) -> StreamLimits:
    """What connections may take."""
    return StreamLimits(
        connections_max=sip.connections_max,
        source_max=sip.source_connections_max,
        source_unproven_max=sip.source_silent_max,
        open_s_max=sip.open_s_max,
        proof_s_max=sip.first_message_s_max,
        message_s_max=sip.message_s_max,
        idle_s_max=sip.idle_s_max,
        ping_s=sip.keepalive_s,
    )


def guard_of(sip: SipSettings, callers: Iterable[str] = ()) -> RateLimit | None:
    """Who is turned away; None: nobody.

    ``callers`` are the networks from which calls are taken: who may call may send as much as that takes. Only
    everybody is not trusted for being let in.
    """
    if sip.messages_per_s <= 0:
        return None
    limits = RateLimits(
        per_s=sip.messages_per_s,
        burst=sip.messages_burst,
        shared_per_s=sip.strangers_per_s,
        shared_burst=sip.strangers_burst,
        sources_max=sip.sources_max,
    )
    known = Gate(network for network in callers if ip_network(network).prefixlen > 0)
    return RateLimit(limits, trusted=(*LOOPBACK, *sip.trusted), vouched=known.admits)
