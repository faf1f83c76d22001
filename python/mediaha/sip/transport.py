"""The seam between transactions and the network: whole messages in, whole messages out.

UDP is in `mediaha.sip.udp`. A stream transport (TCP, TLS) implements the same by cutting its stream into messages at
Content-Length, and gives its layer ``Timers(reliable=True)``.
"""

from __future__ import annotations

from typing import Protocol

from mediaha.model.address import Address


class Transport(Protocol):
    """Sends and receives messages without waiting; the waiting is in `readable` and `run` alone."""

    @property
    def name(self) -> str:
        """As Via writes it: ``UDP``."""
        ...

    @property
    def address(self) -> Address:
        """Where it listens, with the real port."""
        ...

    @property
    def unsent(self) -> int:
        """Messages dropped because there was no room to keep them."""
        ...

    def send(self, message: bytes, target: Address) -> str | None:
        """Send, or keep for when there is room. Returns why the target cannot be reached, or None."""
        ...

    def receive(self) -> list[tuple[bytes, Address]]:
        """What has arrived, with its sources: a bounded batch, empty when there is nothing."""
        ...

    def failures(self) -> list[tuple[Address, str]]:
        """Targets that the network reported as unreachable since the last call, each with the reason."""
        ...

    async def readable(self) -> None:
        """Wait until `receive` or `failures` has something."""
        ...

    async def run(self) -> None:
        """Send what was kept, until cancelled."""
        ...

    def close(self) -> None:
        """Give the address back."""
        ...
