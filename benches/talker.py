"""The process that talks: ``python -m benches.talker`` takes orders as lines of JSON, and answers each with one.

It is a process of its own so that it has a core of its own. The orders are ``place``, ``direct``, ``mirror``,
``look``, ``cross`` and ``end``.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from benches.ng import NgClient, NgFailed, answer, audio_address, audio_sdp, delete, offer
from mediaha.load import Load
from mediaha.model.address import Address

LATE_S = 0.7
"""How long packets may still be under way when nobody sends any more: the kernel's buffers hold that much."""


class Talker:
    """Calls through one media server, for one window at a time."""

    def __init__(self) -> None:
        self._names = itertools.count()
        self._load: Load | None = None
        self._ng: NgClient | None = None
        self._calls: list[str] = []
        self._aims: list[tuple[int, str]] = []
        self._callers: list[str] = []

    def place(self, server: str, calls: int, host: str = "127.0.0.1", flags: Sequence[str] = ()) -> None:
        """Set up so many calls between parties at ``host`` and let all begin to talk; none, when one is refused.

        ``flags`` are the offers' and answers'. Raises NgFailed.
        """
        load = self._load = Load(gap_ms_min=50, timeline_s=1.0)
        ng = self._ng = NgClient(Address.parse(server))
        try:
            for _ in range(calls):
                self._place_one(load, ng, host, flags)
        except NgFailed:
            self._clear()
            raise
        for endpoint, _ in self._aims:
            load.start(endpoint)

    def _place_one(self, load: Load, ng: NgClient, host: str, flags: Sequence[str]) -> None:
        call = f"talk-{next(self._names)}"
        self._calls.append(call)
        sides = [load.open(host), load.open(host)]
        self._callers.append(sides[0][1])
        load.pair(sides[0][0], sides[1][0])
        sdps = [audio_sdp(where.host, where.port) for where in (Address.parse(listens) for _, listens in sides)]
        halves = [offer(call, sdps[0]), answer(call, sdps[1])]
        aims = [audio_address(ng.sdp(**half, flags=list(flags))) for half in halves]
        # What the offer gives is for the callee to send to, what the answer gives for the caller.
        for (endpoint, _), aim in zip(sides, reversed(aims), strict=True):
            load.aim(endpoint, aim)
            self._aims.append((endpoint, aim))

    def direct(self, calls: int, host: str) -> None:
        """As many talk to each other with nothing in between."""
        load = self._load = Load(gap_ms_min=50, timeline_s=1.0)
        for _ in range(calls):
            sides = [load.open(host), load.open(host)]
            load.pair(sides[0][0], sides[1][0])
            self._aims += [(sides[0][0], sides[1][1]), (sides[1][0], sides[0][1])]
        for endpoint, aim in self._aims:
            load.aim(endpoint, aim)
            load.start(endpoint)

    def mirror(self, server: str, calls: int) -> None:
        """As many parties talk to a server that sends back what it gets, each to itself."""
        load = self._load = Load(gap_ms_min=50, timeline_s=1.0)
        self._aims = [(load.open()[0], server) for _ in range(2 * calls)]
        for endpoint, aim in self._aims:
            load.pair(endpoint, endpoint)
            load.aim(endpoint, aim)
            load.start(endpoint)

    def cross(self) -> None:
        """Let the first caller send past the relay to the second one, who then hears a stranger."""
        assert self._load is not None
        self._load.aim(self._aims[0][0], self._callers[1])

    def look(self) -> dict[str, object]:
        """What all have sent and heard so far."""
        if self._load is None:
            return {}
        heard = self._load.arrivals()
        return {
            "at": time.monotonic(),
            "sent": heard.sent,
            "received": heard.received,
            "lost": heard.lost,
            "reordered": heard.reordered,
            "duplicated": heard.duplicated,
            "misdirected": heard.misdirected,
            "corrupt": heard.corrupt,
            "refused": heard.refused,
            "latency_ms_p50": heard.latency_ms_p50,
            "latency_ms_p99": heard.latency_ms_p99,
            "latency_ms_max": heard.latency_ms_max,
            "lateness_ms_max": self._load.lateness_ms_max,
        }

    def end(self, *, forget: bool = False) -> dict[str, object]:
        """Stop talking, hear what is under way, delete the calls (or forget them); gives the last look."""
        assert self._load is not None
        for endpoint, _ in self._aims:
            self._load.stop(endpoint)
        deadline = time.monotonic() + LATE_S
        while (seen := self.look())["received"] != seen["sent"] and time.monotonic() < deadline:
            time.sleep(0.02)
        if forget:
            self._calls = []
        self._clear()
        return seen

    def _clear(self) -> None:
        load, ng, calls = self._load, self._ng, self._calls
        self._load = self._ng = None
        self._calls, self._aims, self._callers = [], [], []
        if load is not None:
            load.close()
        if ng is not None:
            for call in calls:
                ng.ask(**delete(call))
            ng.close()


def main() -> None:
    """Take orders until standard input ends."""
    talker = Talker()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer_line = obey(talker, order.pop("do"), **order)
        except NgFailed as failure:
            answer_line = {"failed": str(failure)}
        print(json.dumps(answer_line), flush=True)


def obey(talker: Talker, do: str, **arguments: Any) -> dict[str, object]:
    """Carry out an order. Raises NgFailed."""
    match do:
        case "place":
            talker.place(**arguments)
        case "direct":
            talker.direct(**arguments)
        case "mirror":
            talker.mirror(**arguments)
        case "cross":
            talker.cross()
        case "end":
            return talker.end(**arguments)
    return talker.look()


if __name__ == "__main__":
    main()
