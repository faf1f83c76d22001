"""Many set-ups through one control port, a few in flight: prepared datagrams, so that the client costs little."""

from __future__ import annotations

import itertools
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benches.ng import NgFailed, adopt, answer, audio_sdp, bencode, delete, offer
from mediaha.load import set_up_calls
from mediaha.model.address import Address

ANSWER_S_MAX = 2.0
OK = b"6:result2:ok"
_RUNS = itertools.count()


class SetUp(NamedTuple):
    """The datagrams of one call, each with a cookie that begins with the call's number."""

    offer: bytes
    answer: bytes
    delete: bytes


@dataclass(frozen=True, slots=True)
class Timing:
    """How long all calls together took, and each of their offers."""

    calls: int
    lasted_s: float
    offers_s: Sequence[float]


def prepare(calls: int) -> list[SetUp]:
    """Calls that nobody has set up before."""
    run = f"{secrets.token_hex(4)}{next(_RUNS)}".encode()
    prepared = []
    for number in range(calls):
        name = f"setup-{run.decode()}-{number}"
        sdps = [audio_sdp("127.0.0.1", 2000 + 4 * (number % 10000) + side) for side in (0, 2)]
        prepared.append(
            SetUp(
                *(
                    b"%d-%b-%b %b" % (number, request["command"].encode(), run, bencode(request))
                    for request in (offer(name, sdps[0]), answer(name, sdps[1]), delete(name))
                )
            )
        )
    return prepared


def set_up(server: Address, calls: Sequence[SetUp], in_flight: int) -> Timing:
    """Offer and answer of every call; a call's answer follows its offer's reply. Raises NgFailed.

    Rust does it: a client in Python would take longer for a call than the media server.
    """
    try:
        lasted_s, offers_s = set_up_calls(str(server), [(call.offer, call.answer) for call in calls], in_flight)
    except OSError as error:
        raise NgFailed(str(error)) from None
    return Timing(len(calls), lasted_s, offers_s)


def prepare_adoptions(calls: int) -> list[bytes]:
    """Calls that were on another media server, as requests to take them over."""
    run = f"{secrets.token_hex(4)}{next(_RUNS)}"
    sdps = [audio_sdp("127.0.0.1", 2000 + side) for side in (0, 2)]
    named = ((number, adopt(f"adopted-{run}-{number}", *sdps)) for number in range(calls))
    return [b"%d-adopt-%b %b" % (number, run.encode(), bencode(request)) for number, request in named]


def delete_all(server: Address, calls: Sequence[SetUp]) -> None:
    """End them. Raises NgFailed."""
    with _connected(server) as sock:
        for call in calls:
            sock.send(call.delete)
            _next_reply(sock)


def _connected(server: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(ANSWER_S_MAX)
    sock.connect(server)
    return sock


def _next_reply(sock: socket.socket) -> int:
    """The number of the call that was answered."""
    try:
        reply = sock.recv(65535)
    except TimeoutError:
        raise NgFailed(f"no answer within {ANSWER_S_MAX} s") from None
    if OK not in reply:
        raise NgFailed(f"the answer was {reply!r}")
    return int(reply[: reply.index(b"-")])
