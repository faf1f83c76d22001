"""One NeTS: it takes what comes in until it is drained, and a person may ask about its calls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import structlog
import trio

from mediaha.model.address import Address
from mediaha.model.listener import ListenerView
from mediaha.model.media import Moved, ServerChanged
from mediaha.model.sip import SipSettings
from mediaha.model.site import NetsSpec
from mediaha.model.trunk import RegistrationView, TargetView, Trunk, WhenDown
from mediaha.nets.call import Call, Ending, Leg
from mediaha.nets.carrier import Carrier
from mediaha.nets.events import Stop
from mediaha.nets.gate import networks_of
from mediaha.nets.opening import guard_of, stream_limits_of, timers_of, transaction_limits_of
from mediaha.nets.ports import Checkpoint, Media, NoCheckpoint, NoPhones, Notice, Phones, Routes
from mediaha.nets.reception import Reception
from mediaha.nets.rules import Limits, Rules, contacts_of
from mediaha.nets.story import phase_name
from mediaha.nets.tracing import Tracer
from mediaha.nets.trunks.registering import Registrations
from mediaha.nets.trunks.watch import Trunks
from mediaha.nets.written import adopted
from mediaha.sip.endpoint import Endpoint, open_endpoint
from mediaha.sip.target import TLS, Target
from mediaha.sip.trace import Traced
from mediaha.sip.transaction.timers import Timers
from mediaha.sip.transport.tls import CertificateError

BYE_S_MAX = 4.0
"""How long the ends of calls are waited for when NeTS stops: as long as a BYE is sent four times."""
LOOK_S = 0.1
"""How often a NeTS that drains looks whether anybody still talks."""

_log = structlog.get_logger("nets")


class Nets:
    """Session control at its listeners; ``serve_nets`` makes it."""

    def __init__(
        self,
        spec: NetsSpec,
        endpoint: Endpoint,
        reception: Reception,
        carrier: Carrier,
        trunks: Trunks,
        registrations: Registrations,
    ) -> None:
        self.spec = spec
        self._endpoint = endpoint
        self._reception = reception
        self._carrier = carrier
        self._trunks = trunks
        self._registrations = registrations
        self._tracer = Tracer(carrier.stories.call_ids)
        trunks.on_down = self._target_down

    @property
    def address(self) -> Address:
        """Where its first listener listens, with the real port."""
        return self._endpoint.address

    @property
    def draining(self) -> bool:
        """Whether new calls are refused."""
        return self._reception.draining

    def listeners(self) -> tuple[ListenerView, ...]:
        """Where it listens, and how much that is used."""
        return self._endpoint.listeners()

    def transactions(self) -> int:
        """SIP transactions that are not forgotten yet."""
        return self._endpoint.transactions

    def turned_away(self) -> int:
        """Messages that were dropped unread since the start: their sources had sent too many."""
        return self._endpoint.counters.turned_away

    def calls(self) -> tuple[Call, ...]:
        """The calls as they are now, those that are being set up or ended included."""
        return tuple(held.call for held in self._carrier.tables.calls.values())

    def ending(self) -> int:
        """How many of them are over for their parties, and wait for the last responses."""
        return sum(isinstance(call.phase, Ending) for call in self.calls())

    def explain(self, name: str) -> dict[str, object] | None:
        """The story of a call, JSON-able, by NeTS's own name for it or the Call-ID of either leg; None: unknown."""
        held = self._carrier.tables.calls.get(name)
        if held is not None:
            held.story.update(held.call)
        return self._carrier.stories.explain(name)

    def trace(self, name: str, wanted: str, seconds: float) -> bool:
        """Keep the messages of a call from now on, see ``Tracer.begin``. Raises TraceRefused."""
        known = self._tracer.begin(name, wanted, seconds, time.monotonic())
        self._endpoint.tap = self._trace
        return known

    def traced(self, name: str) -> tuple[tuple[Traced, ...], int] | None:
        """The messages since this was asked last, see ``Tracer.take``."""
        return self._tracer.take(name, time.monotonic())

    def untrace(self, name: str) -> None:
        """Keep no more messages for this trace."""
        self._tracer.end(name)

    def under_way(self, name: str) -> bool:
        """Whether a call of this name is there: NeTS's own, or the Call-ID of a leg."""
        wanted = {name, *self._carrier.stories.call_ids(name)}
        calls = self._carrier.tables.calls
        return name in calls or any(not wanted.isdisjoint(held.story.call_ids) for held in calls.values())

    def _trace(self, traced: Traced) -> None:
        self._tracer.expire(time.monotonic())
        if not self._tracer:
            self._endpoint.tap = None
        self._tracer.note(traced)

    def refuses(self) -> str | None:
        """What a call that came now would be answered with; None: it would be taken."""
        refusal = self._reception.cannot_take(None)
        return f"{refusal.status} {refusal.reason or ''}".rstrip() if refusal is not None else None

    def status(self) -> dict[str, object]:
        """What a person wants to know at a glance, JSON-able."""
        clients, servers = self._endpoint.open_transactions
        return {
            "name": self.spec.name,
            "listen": list(self._endpoint.listening),
            "draining": self.draining,
            "taking_calls": self.refuses() is None,
            "calls": dict(Counter(phase_name(call.phase) for call in self.calls())),
            "decisions": dict(self._carrier.counters),
            "tables": {
                **self._carrier.tables.sizes(),
                "client_transactions": clients,
                "server_transactions": servers,
            },
        }

    def registrations(self) -> tuple[RegistrationView, ...]:
        """Where it has registered with carriers."""
        return self._registrations.views()

    def is_open(self, flow: Target) -> bool:
        """Whether a way by which somebody came is still there."""
        return self._endpoint.is_open(flow)

    def targets(self) -> tuple[TargetView, ...]:
        """The targets of the trunks, and how they are."""
        return self._trunks.views()

    async def drain(self, deadline_s: float) -> None:
        """Take no more calls, let those that are there end; after ``deadline_s`` end the rest with BYE.

        Returns when there is no call any more, or when what is left of them are responses that do not come: a target
        that was silent keeps its call for 64*T1, as it may still answer an INVITE that nobody wants any more.
        """
        self._reception.draining = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._registrations.leave)
            with trio.move_on_after(deadline_s):
                while self.ending() < len(self._carrier.tables.calls):  # noqa: ASYNC110 - a call ends in many ways
                    await trio.sleep(LOOK_S)
        for held in list(self._carrier.tables.calls.values()):
            self._carrier.happens(held, Stop("Server is shutting down"))
        with trio.move_on_after(BYE_S_MAX):
            await self._empty()

    def renew_certificates(self) -> None:
        """Read the files of the TLS listeners again, for connections to come. What cannot be used is logged."""
        if not any(place.transport == TLS for place in self._endpoint.places):
            return
        try:
            self._endpoint.reload_certificates()
        except CertificateError as error:
            _log.error("certificates cannot be used; those before stay in use", name=self.spec.name, why=str(error))
        else:
            _log.info("certificates were read again", name=self.spec.name)

    def _target_down(self, trunk: Trunk, target: Target) -> None:
        if trunk.when_down is not WhenDown.END:
            return
        for held in list(self._carrier.tables.calls.values()):
            if any(_goes_by(leg, target) for leg in (held.call.caller, held.call.callee)):
                self._carrier.happens(held, Stop(f"Trunk {trunk.name} is down"))

    async def adopt(self, call: Call) -> bool:
        """Go on with a call that another NeTS has written down. False: it was not far enough to be continued."""
        continued = adopted(call, time.monotonic())
        if continued is None or call.id in self._carrier.tables.calls:
            return False
        self._carrier.adopt(continued)
        await self._carrier.adopt_media(self._carrier.tables.calls[call.id])
        return True

    async def _empty(self) -> None:
        while self._carrier.tables.calls:
            self._carrier.emptied = trio.Event()
            await self._carrier.emptied.wait()

    def listen(self) -> None:
        """Take requests from now on."""
        self._endpoint.give_events(self._reception.take)

    def heed(self, notice: Notice) -> None:
        """Something has happened to a media server or a call's media. From here to the re-INVITEs there is no wait."""
        if isinstance(notice, ServerChanged):
            _log.info("media server", server=notice.server, condition=str(notice.condition), why=notice.why)
            return
        held = self._carrier.tables.calls.get(notice.call_id)
        if held is not None:
            self._carrier.happens(held, notice)
        elif isinstance(notice, Moved):
            _log.debug("a call that is over was moved", call_id=notice.call_id)


def _goes_by(leg: Leg, target: Target) -> bool:
    """Whether the party of a leg is at this target: we have called it there, or it has called us from there.

    Over a connection a call comes from any port; then its Contact tells.
    """
    met, contact = leg.met, leg.dialog.next_target() if leg.dialog is not None else None
    return any(one is not None and (one.transport, one.address) == target[:2] for one in (met, contact))


async def serve_nets(
    spec: NetsSpec,
    routes: Routes,
    media: Media,
    *,
    limits: Limits | None = None,
    sip: SipSettings | None = None,
    name_servers: Sequence[Address] = (),
    timers: Timers | None = None,
    checkpoint: Checkpoint | None = None,
    phones: Phones | None = None,
    task_status: trio.TaskStatus[Nets] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a NeTS until cancelled; ``started()`` gives it once it listens.

    ``routes`` says which domain a callee belongs to, ``media`` is the failover pool, ``checkpoint`` where calls are
    written down (nowhere by default), ``phones`` the registrar (nobody can register by default). ``timers`` overrule
    those of ``sip``; ``name_servers`` are asked for names, none: those of the machine. Raises OSError when an address
    cannot be listened at, CertificateError. Being cancelled ends no call: ``drain`` first.
    """
    limits, sip = limits or Limits(), sip or SipSettings()
    async with (
        open_endpoint(
            spec.listeners,
            timers=timers or timers_of(sip),
            limits=transaction_limits_of(sip),
            stream_limits=stream_limits_of(sip),
            guard=guard_of(sip, networks_of(spec)),
        ) as endpoint,
        trio.open_nursery() as nursery,
    ):
        here = endpoint.places[0].sent_by
        contacts = contacts_of(endpoint.places)
        rules = Rules(contact=f"sip:nets@{here}", host=here.host, limits=limits, contacts=contacts)
        trunks = Trunks(endpoint, routes, rules, name_servers)
        carrier = Carrier(endpoint, media, rules, checkpoint or NoCheckpoint(), trunks)
        registrations = Registrations(endpoint, routes, rules, trunks)
        known = NoPhones() if phones is None else phones
        reception = Reception(spec, endpoint, routes, media, carrier, trunks, known)
        nets = Nets(spec, endpoint, reception, carrier, trunks, registrations)
        nursery.start_soon(trunks.run)
        nursery.start_soon(registrations.run)
        nursery.start_soon(carrier.journal.run)
        nursery.start_soon(carrier.keep_time)
        media.give_notices(nets.heed)
        nets.listen()
        _log.info("listening", name=spec.name, listeners=list(endpoint.listening))
        task_status.started(nets)
        try:
            await trio.sleep_forever()
        finally:
            media.give_notices(None)
