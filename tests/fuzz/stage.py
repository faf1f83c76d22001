"""A real NeTS, with its endpoint, transactions, dialogs and calls, on a wire and a clock that a program moves."""

from __future__ import annotations

import random
import time
import traceback
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from unittest import mock

import structlog
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mediaha.model.address import Address
from mediaha.model.listener import TCP, Listener
from mediaha.model.site import Domain, Host, NetsSpec, Site
from mediaha.model.trunk import Credentials, Redirects, Trunk
from mediaha.model.user import User
from mediaha.nets import Limits, serve_nets
from mediaha.nets.trunks import registering, watch
from mediaha.sip.registration import Answer, Contact
from mediaha.sip.target import Target
from mediaha.sip.transaction.client_invite import Completed
from mediaha.sip.transaction.events import ClientKey
from mediaha.sip.transport import streams as stream_module
from tests.fuzz.wire import Stream, WireStreams, WireUdp
from tests.nets.pool import FakePool

HERE = Address("192.0.2.1", 5060)
CALLER, OTHER = Address("203.0.113.5", 5062), Address("203.0.113.6", 5062)
FIRST, SECOND, CARRIER = (Address(f"198.51.100.{number}", 5060) for number in (1, 2, 3))
STRANGER = Address("192.0.2.66", 5060)
PHONE = Address("192.0.2.77", 40000)

SITE = Site(
    "fuzzed",
    hosts=(Host("here"),),
    media=(),
    nets=(),
    domains=(
        Domain("desk.test", ("a", "b"), (FIRST, SECOND)),
        Domain("trunk.test", ("b", "a"), trunks=("carrier",)),
        Domain("tcp.test", ("a",), ("sip:198.51.100.1;transport=tcp", FIRST)),
    ),
    trunks=(
        Trunk(
            "carrier",
            ("sip:198.51.100.3:5060", "sip:198.51.100.2:5060"),
            check_s=0,
            redirects=Redirects.FOLLOW,
            trusted=False,
            credentials=Credentials("us", realm="carrier.test", md5="0" * 32, sha256="0" * 64),
        ),
    ),
)
SUE = User("sue", "desk.test", "desk.test")
LIMITS = Limits(calls_max=12, session_s=90, ring_s_max=40.0, passing_max=4, story_entries_max=50, stories_max=20)

STEPS_MAX = 20_000
"""Of the clock, in one wait: NeTS would be busy with nothing."""


class Phones:
    """One user, whose phones are where the program says."""

    def __init__(self) -> None:
        self.flows: list[Target] = []

    def __len__(self):
        return 1

    def register(self, request, flow):
        return Answer(401, headers=(("WWW-Authenticate", 'Digest realm="desk.test", nonce="x"'),))

    def caller(self, request, flow):
        return SUE if flow in self.flows else Answer(403)

    def find(self, name, domain):
        return SUE if name == "sue" and domain in {None, "desk.test"} else None

    def contacts(self, user):
        return tuple(
            Contact(f"sip:sue@10.1.1.{number}:5060", flow, q=1.0 if number % 3 else 0.5)
            for number, flow in enumerate(self.flows)
        )

    def are_at(self, flow):
        return flow in self.flows


class Stage:
    """What a program can do to NeTS, and what it sees of it."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.pool = FakePool("a", "b")
        self.phones = Phones()
        self.closed: set[Address] = set()
        """Places where nobody listens."""
        self.streams: list[Stream] = []
        self.faults: list[str] = []
        """What NeTS itself has noticed of its mistakes."""
        self.on_heard = None
        """Called with each message that NeTS sends, whither, and whether nobody is there."""
        self.on_taken = None
        """Called with each message that has come to NeTS."""

    def hears(self, message, way, *, lost=False):
        if self.on_heard is not None:
            self.on_heard(message, way, lost)

    def takes(self, message):
        if self.on_taken is not None:
            self.on_taken(message)

    def opens(self, listener, limits):
        if listener.transport == TCP:
            self.tcp = WireStreams(listener.address, self, limits)
            return self.tcp
        self.udp = WireUdp(listener.address, self)
        return self.udp

    async def run(self, task_status=trio.TASK_STATUS_IGNORED):
        spec = NetsSpec("nets-1", "here", (Listener(HERE), Listener(HERE, TCP)), callers=("203.0.113.0/24",))
        await serve_nets(spec, SITE, self.pool, limits=LIMITS, phones=self.phones, task_status=task_status)

    async def settles(self):
        """Until everybody waits for something that is still to come."""
        await wait_all_tasks_blocked()

    async def waits(self, seconds):
        """Time goes by, from one deadline to the next."""
        until = trio.current_time() + seconds
        for _ in range(STEPS_MAX):
            await wait_all_tasks_blocked()
            left = until - trio.current_time()
            if left <= 0:
                return
            due = trio.lowlevel.current_statistics().seconds_to_next_deadline
            self.clock.jump(max(min(left, due), 0.0) + 1e-6)
        raise AssertionError("time does not get on: something is due again and again")

    def awaits(self, response):
        """Whether NeTS takes notice of a response: what was refused once is not accepted any more."""
        key = ClientKey(response.via.branch or "", response.cseq.method)
        transaction = self.endpoint._layer._clients._table.get(key)
        return transaction is not None and not isinstance(transaction.state, Completed)

    @property
    def carrier(self):
        return self.nets._carrier

    @property
    def endpoint(self):
        return self.nets._endpoint


@asynccontextmanager
async def open_stage(clock):
    stage = Stage(clock)
    with _sealed(stage):
        async with trio.open_nursery() as nursery:
            stage.nets = await nursery.start(stage.run)
            yield stage
            nursery.cancel_scope.cancel()


@contextmanager
def _sealed(stage):
    """No sockets, no clock and no chance but the stage's; and no mistake goes by as a line in a log."""
    chance = random.Random(1)
    with ExitStack() as stack:
        for patched in (
            mock.patch("mediaha.sip.endpoint.open_transport", stage.opens),
            mock.patch.object(stream_module.Channel, "towards", partial(Stream.towards, stage)),
            mock.patch.object(watch, "LOOK_S", 1e6),
            mock.patch.object(registering, "LOOK_S", 1e6),
            mock.patch.object(time, "monotonic", stage.clock.current_time),
            mock.patch("secrets.token_hex", lambda size: chance.randbytes(size).hex()),
            mock.patch("secrets.randbelow", chance.randrange),
        ):
            stack.enter_context(patched)
        before = structlog.get_config()
        structlog.configure(processors=[partial(_listen, stage.faults)], cache_logger_on_first_use=False)
        stack.callback(structlog.configure, **before)
        yield


def _listen(faults, logger, method, event):
    if event.get("exc_info"):
        faults.append(f"{event}\n{traceback.format_exc()}")
    raise structlog.DropEvent


def play(act) -> None:
    """Run an act, an async function of a stage, in a time of its own."""
    clock = MockClock()
    clock.jump(1000.0)

    async def main():
        async with open_stage(clock) as stage:
            await act(stage)

    trio.run(main, clock=clock)
