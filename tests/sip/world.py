"""Two parties and a network that may lose, repeat and delay, on a clock that only the test moves."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from mediaha.model.address import Address
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.reading import message_untrusted
from mediaha.sip.target import UDP, Place, Target, target_of
from mediaha.sip.transaction.events import ClientEvent, ServerEvent
from mediaha.sip.transaction.layer import Layer
from mediaha.sip.transaction.servers import Limits
from mediaha.sip.transaction.timers import Timers

ALICE = Address("192.0.2.1", 5060)
BOB = Address("192.0.2.2", 5060)


def request(method: str, *, cseq: int = 1, call_id: str = "call-1", to_tag: str = "", branch: str = "") -> Request:
    """A request from Alice to Bob; with a Via of Alice's only when it has a branch."""
    to = f"<sip:bob@example.test>{';tag=' + to_tag if to_tag else ''}"
    fields = [
        ("Max-Forwards", "70"),
        ("From", '"Alice" <sip:alice@example.test>;tag=alice'),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", f"<sip:alice@{ALICE}>"),
    ]
    if branch:
        fields.insert(0, ("Via", f"SIP/2.0/UDP {ALICE};branch=z9hG4bK{branch};rport"))
    return Request(method, f"sip:bob@{BOB}", Headers(fields))


class Machine:
    """One layer alone, with what it sent noted together with the time."""

    def __init__(
        self,
        timers: Timers | None = None,
        limits: Limits | None = None,
        address: Address = ALICE,
        places: Sequence[Place] = (),
    ) -> None:
        self.now = 0.0
        count = iter(range(1_000_000))
        self.layer = Layer(places or [Place(UDP, address)], lambda: f"branch{next(count)}", timers, limits)
        self.sent: list[tuple[float, Request | Response, Address]] = []
        self.targets: list[Target] = []
        self.heard: list[ClientEvent] = []
        self.requests: list[ServerEvent] = []

    def collect(self) -> None:
        """Take what the layer put out."""
        for datagram, target in self.layer.outbox():
            self.sent.append((round(self.now, 3), message_untrusted(datagram), target.address))
            self.targets.append(target)
        for on, event in self.layer.client_events():
            on(event)
        self.requests += self.layer.server_events()

    def start(self, message: Request, target: Target | Address = BOB):
        """Send a request; what comes of it is heard in ``heard``."""
        key = self.layer.send(message, target, self.heard.append, self.now)
        self.collect()
        return key

    def receive(self, message: Request | Response | bytes, source: Target | Address = BOB) -> None:
        """Something arrives, by UDP if it is not said how."""
        datagram = message if isinstance(message, bytes) else message.to_bytes()
        self.layer.receive(datagram, target_of(source), self.now)
        self.collect()

    def refuse(self, flow: Target, why: str) -> None:
        """The network says that nothing gets through there."""
        self.layer.unreachable(flow, why, self.now)
        self.collect()

    def respond(self, event, status: int, to_tag: str = "bob") -> None:
        """Answer the request of an event."""
        self.layer.respond(event.transaction, event.request.response(status, to_tag=to_tag), self.now)
        self.collect()

    def advance(self, seconds: float) -> None:
        """Let time pass; timers run at their time."""
        end = self.now + seconds
        while (wake_at := self.layer.wake_at()) <= end:
            self.now = max(wake_at, self.now)
            self.layer.tick(self.now)
            self.collect()
        self.now = end

    def sent_at(self, what: str | int) -> list[float]:
        """When requests with this method, or responses with this status, were sent."""
        return [at for at, message, _ in self.sent if kind(message) == what]

    @property
    def idle(self) -> bool:
        """Whether nothing is remembered any more."""
        return self.layer.open_clients == 0 and self.layer.open_servers == 0


def kind(message: Request | Response) -> str | int:
    """A request's method or a response's status."""
    return message.method if isinstance(message, Request) else message.status


@dataclass
class Weather:
    """What the network does to a datagram: probabilities, and delays in seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: tuple[float, float] = (0.001, 0.002)


@dataclass
class Party:
    """One end of the simulated network and the program that uses its layer."""

    address: Address
    layer: Layer
    on_event: Callable[[ServerEvent], None] = lambda event: None


@dataclass
class World:
    """The network between parties. One seed gives one history."""

    seed: int
    weather: Weather = field(default_factory=Weather)
    now: float = 0.0
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.parties: dict[Address, Party] = {}
        self._flying: list[tuple[float, int, bytes, Address, Address]] = []
        self._count = 0

    def party(self, address: Address) -> Party:
        """Put a party at an address."""
        party = Party(address, Layer([Place(UDP, address)], lambda: f"{self.chance.getrandbits(64):016x}", Timers()))
        self.parties[address] = party
        return party

    def settle(self, seconds: float = 400.0) -> None:
        """Let time pass until nothing flies and no timer waits, or for so long."""
        end = self.now + seconds
        self._collect()
        while (at := self._next()) <= end:
            self.now = max(at, self.now)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, datagram, source, target = heapq.heappop(self._flying)
                if target in self.parties:
                    self.parties[target].layer.receive(datagram, Target(UDP, source), self.now)
                    self._collect()
            for party in self.parties.values():
                party.layer.tick(self.now)
            self._collect()

    def _next(self) -> float:
        flying = self._flying[0][0] if self._flying else inf
        return min([flying, *(party.layer.wake_at() for party in self.parties.values())])

    def _collect(self) -> None:
        again = True
        while again:
            again = False
            for party in self.parties.values():
                for datagram, target in party.layer.outbox():
                    self._fly(datagram, party.address, target.address)
                for event in party.layer.server_events():
                    again = True
                    party.on_event(event)
                for on, event in party.layer.client_events():
                    again = True
                    on(event)

    def _fly(self, datagram: bytes, source: Address, target: Address) -> None:
        line = datagram[: datagram.find(b"\r\n")].decode()
        copies = 1 + (self.chance.random() < self.weather.duplication)
        for _ in range(copies):
            if self.chance.random() < self.weather.loss:
                self.story.append(f"{self.now:8.3f} {source} ✗ {target} {line}")
                continue
            arrival = self.now + self.chance.uniform(*self.weather.delay)
            self._count += 1
            self.story.append(f"{self.now:8.3f} {source} → {target} {line} at {arrival:.3f}")
            heapq.heappush(self._flying, (arrival, self._count, datagram, source, target))
