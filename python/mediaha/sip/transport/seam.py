"""The seam between transactions and the network: whole messages in, whole messages out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import trio

from mediaha.model.address import Address
from mediaha.sip.target import Place, Target

Received = tuple[bytes, Target]
"""A message and the way back."""


class Heard(NamedTuple):
    """What came from the network."""

    messages: Sequence[Received] = ()
    lost: Sequence[tuple[Target, str]] = ()
    """Ways that lead nowhere (any more), each with the reason."""
    more: bool = False
    """There was more to be read than was taken at once."""


NOTHING = Heard()


class Ears(Protocol):
    """Who is told. Nothing here waits nor raises."""

    def heard(self, heard: Heard) -> None:
        """Something came."""
        ...

    def welcomes(self, host: str, transport: str) -> bool:
        """Whether somebody from there may connect now."""
        ...

    def cut_short(self, head: bytes, status: int, reason: str, flow: Target) -> None:
        """A connection is given up in the midst of a message with this head; it may be answered there and then."""
        ...


class Transport(Protocol):
    """One listener. Sends without waiting; the waiting is in `run` alone."""

    @property
    def place(self) -> Place:
        """How peers see it."""
        ...

    @property
    def address(self) -> Address:
        """Where it listens, with the real port."""
        ...

    @property
    def unsent(self) -> int:
        """Messages dropped because there was no room to keep them."""
        ...

    def send(self, message: bytes, target: Target) -> str | None:
        """Send, or keep for when there is room. Returns why the target cannot be reached, or None.

        That it cannot be reached may also come out later, in ``Heard.lost``.
        """
        ...

    def receive(self) -> Heard:
        """What has arrived and has not been told: a bounded batch."""
        ...

    async def run(self, ears: Ears, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell what arrives, and send what was kept, until cancelled."""
        ...

    def close(self) -> None:
        """Give the address back."""
        ...
