"""What may stand in a site file, as msgspec structures: one per kind of table.

These are the file's words and types only. What the words mean together (a media server that no one defined, two
parts on one port) is checked in ``checking``, and the result is ``mediaha.model.site.Site``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mediaha.model.site import Datapath

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""Names of hosts and parts; they appear in logs, on command lines and in statistics."""

Count = Annotated[int, Meta(ge=1)]
WEEK_S = 7 * 24 * 3600
SESSIONS_MAX = 1_000_000
"""Of one media server. Each has its place in the table that outlives the process."""
Seconds = Annotated[float, Meta(gt=0, le=WEEK_S)]


class HostTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[[hosts]]``: a machine."""

    name: Name
    address: str | None = None


class MediaTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[[media]]``: a media server, ours or a foreign one (``managed = false``)."""

    name: Name
    host: str | None = None
    ng: str | None = None
    interfaces: list[str] | None = None
    ports: str = "20000-29999"
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    sessions_max: Annotated[int, Meta(ge=1, le=SESSIONS_MAX)] = 20000
    silence_s_max: Seconds = 60.0
    held_s_max: Seconds = 3600.0
    orphan_s_max: Seconds = 180.0
    busy_percent_max: Annotated[int, Meta(ge=10, le=100)] = 90
    dscp: Annotated[int, Meta(ge=0, le=63)] = 46
    datapath: Datapath = "auto"
    managed: bool = True


class NetsTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[[nets]]``: a NeTS instance."""

    name: Name
    host: str
    listen: str | list[str] | None = None
    advertised: str | None = None
    callers: list[str] | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_authorities: str | None = None
    tls_client_authorities: str | None = None
    tls_verify: bool = True


class TrunkTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[[trunks]]``: the way to a call manager, with its targets in the order in which they are tried."""

    name: Name
    targets: list[str]
    check_s: Annotated[float, Meta(ge=0, le=24 * 3600)] = 30.0
    suspect_check_s: Annotated[float, Meta(ge=0.1, le=3600)] = 2.0
    try_s_max: Annotated[float, Meta(ge=0.1, le=32)] = 2.0
    failures: tuple[Annotated[int, Meta(ge=300, le=699)], ...] = (503,)
    down_after: Annotated[int, Meta(ge=1, le=100)] = 3
    up_after: Annotated[int, Meta(ge=1, le=100)] = 2
    when_down: Literal["keep", "end"] = "keep"
    trusted: bool = True
    history: bool | None = None
    redirects: Literal["pass", "follow"] = "pass"
    username: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    realm: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    secret_file: Annotated[str, Meta(min_length=1)] | None = None
    secret_env: Annotated[str, Meta(min_length=1)] | None = None
    md5: str | None = None
    sha256: str | None = None
    register: str | None = None
    register_s: Annotated[int, Meta(ge=30, le=24 * 3600)] = 600


class UserTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[[users]]``: somebody with phones, and the hashes of their secret."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9+_.!~*()$&=/-]+$")]
    domain: Annotated[str, Meta(min_length=1, max_length=255)]
    realm: Annotated[str, Meta(min_length=1, max_length=255, pattern=r'^[^"\\\x00-\x1f\x7f]+$')] | None = None
    sha256: str | None = None
    md5: str | None = None


class DomainTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[[domains]]``: a partition of the system with its ordered media servers and its targets."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    media: list[str]
    targets: list[str] | None = None
    trunks: list[str] | None = None


class TimingsTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[timings]``: how fast faults are noticed and how long things may take."""

    heartbeat_ms: Annotated[int, Meta(ge=5, le=60_000)] = 50
    silence_ms_max: Annotated[int, Meta(ge=10, le=600_000)] = 150
    hold_down_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 2000
    probe_ms: Annotated[int, Meta(ge=0, le=60_000)] = 200
    ring_s_max: Seconds = 180.0
    drain_s_max: Annotated[float, Meta(ge=0, le=24 * 3600)] = 30.0
    session_s: Annotated[int, Meta(ge=1, le=7 * 24 * 3600)] = 1800
    session_s_min: Annotated[int, Meta(ge=1, le=7 * 24 * 3600)] = 90
    takeover_ms_max: Annotated[int, Meta(ge=1, le=60_000)] = 500
    hang_s_max: Annotated[float, Meta(ge=1, le=3600)] = 10.0


class SipTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[sip]``: timers of SIP, and what strangers may do. The fields are those of `SipSettings`."""

    t1_ms: Annotated[int, Meta(ge=10, le=10_000)] = 500
    t2_ms: Annotated[int, Meta(ge=10, le=60_000)] = 4000
    t4_ms: Annotated[int, Meta(ge=10, le=60_000)] = 5000
    timer_b_s: Annotated[float, Meta(ge=0.1, le=600)] | None = None
    timer_d_s: Annotated[float, Meta(ge=0, le=600)] = 32.0
    timer_f_s: Annotated[float, Meta(ge=0.1, le=600)] | None = None
    datagram_bytes_max: Annotated[int, Meta(ge=576, le=65_507)] = 1300
    calls_max: Count = 10_000
    trusted: tuple[str, ...] = ()
    messages_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 50.0
    messages_burst: Count = 200
    strangers_per_s: Annotated[float, Meta(ge=1, le=1_000_000)] = 500.0
    strangers_burst: Count = 1000
    sources_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 20_000
    connections_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    source_connections_max: Count = 1_000
    source_silent_max: Count = 100
    open_s_max: Annotated[float, Meta(ge=0.1, le=60)] = 4.0
    first_message_s_max: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    message_s_max: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    idle_s_max: Annotated[float, Meta(ge=1, le=7 * 24 * 3600)] = 1_800.0
    keepalive_s: Annotated[float, Meta(ge=1, le=24 * 3600)] = 110.0


class DnsTable(msgspec.Struct, kw_only=True, frozen=True):
    """``[dns]``: whom NeTS asks for names."""

    servers: list[str] = []


class SiteTable(msgspec.Struct, kw_only=True, frozen=True):
    """The whole file. The lists are tables of their own kinds, read one by one so that each mistake is found."""

    name: Annotated[str, Meta(min_length=1, max_length=64)] = "site"
    state: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    hosts: tuple[HostTable, ...] = ()
    media: tuple[MediaTable, ...] = ()
    nets: tuple[NetsTable, ...] = ()
    trunks: tuple[TrunkTable, ...] = ()
    domains: tuple[DomainTable, ...] = ()
    users: tuple[UserTable, ...] = ()
    timings: TimingsTable = TimingsTable()
    sip: SipTable = SipTable()
    dns: DnsTable = DnsTable()
