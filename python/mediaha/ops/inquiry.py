"""Ask media servers how busy they are, for a person who looks. Never on the path of a call."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
import trio

from mediaha.model.address import Address

ANSWER_S_MAX = 1.0
"""Who has too much to do answers late, and is whom one wants to hear most."""
DATAGRAM_BYTES_MAX = 65535

Statistics = dict[str, object]


async def statistics_of(servers: Mapping[str, Address]) -> dict[str, Statistics]:
    """What each server answers to the ng command ``statistics``; those that are silent for a second are left out."""
    answers: dict[str, Statistics] = {}

    async def ask(name: str, address: Address) -> None:
        answer = await _statistics(address)
        if answer is not None:
            answers[name] = answer

    async with trio.open_nursery() as nursery:
        for name, address in servers.items():
            nursery.start_soon(ask, name, address)
    return answers


async def _statistics(address: Address) -> Statistics | None:
    family = trio.socket.AF_INET6 if ":" in address.host else trio.socket.AF_INET
    cookie = secrets.token_hex(8).encode()
    with trio.move_on_after(ANSWER_S_MAX), trio.socket.socket(family, trio.socket.SOCK_DGRAM) as sock:
        try:
            await sock.connect(tuple(address))
            await sock.send(cookie + b' {"command": "statistics"}')
            while True:
                datagram = await sock.recv(DATAGRAM_BYTES_MAX)
                said, _, body = datagram.partition(b" ")
                if said == cookie:
                    return statistics_untrusted(body)
        except OSError:
            return None  # a closed port: the server is down, and the pool says so
    return None


def statistics_untrusted(body: bytes) -> Statistics | None:
    """The ``statistics`` of a JSON reply; None when it is anything else."""
    try:
        return msgspec.json.decode(body, type=_Reply).statistics
    except (msgspec.DecodeError, RecursionError):
        return None


class _Reply(msgspec.Struct):
    statistics: Statistics | None = None
