"""What the transactions want done: datagrams to send and events to tell, collected until someone takes them."""

from __future__ import annotations

from dataclasses import dataclass

from mediaha.sip.target import Target
from mediaha.sip.transaction.events import ClientEvent, OnClientEvent, ServerEvent


class Outbox:
    """Filled by the machines during one call into the layer, emptied by its caller right after."""

    __slots__ = ("client_events", "datagrams", "server_events")

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Target]] = []
        self.server_events: list[ServerEvent] = []
        self.client_events: list[tuple[OnClientEvent, ClientEvent]] = []


@dataclass(slots=True)
class Counters:
    """What was received, absorbed and dropped since the start; nothing is dropped without being counted."""

    received: int = 0
    turned_away: int = 0
    """Messages that were dropped unread: their source has sent too many."""
    keepalives: int = 0
    malformed: int = 0
    """Unreadable datagrams, answered where possible."""
    retransmissions: int = 0
    """Repeated requests and responses that were absorbed."""
    stray_responses: int = 0
    stray_acks: int = 0
    stray_cancels: int = 0
    late_responses: int = 0
    """Responses of ours to a transaction that was over."""
    merged: int = 0
    """Requests that came twice over different paths: 482."""
    refused_full: int = 0
    """Requests answered 503 because the table, or the queue behind it, was full."""
    forks_dropped: int = 0
    timeouts: int = 0
    unreachable: int = 0
    connections: int = 0
    """How many there are now."""
    connections_refused: int = 0
    """Those that came when there were too many, in all or from their source."""
    connections_cut: int = 0
    """Those that took too long over something."""
    unsent: int = 0
    """Datagrams that the transport could not take and had no room to keep; retransmission repairs it."""
