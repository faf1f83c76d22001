"""Carries out what was decided: sends, responds, asks the pool, and brings what comes of it back to the decision."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import trio
from msgspec.structs import replace

from mediaha.model.media import MediaRefused, OnOutcome, Outcome
from mediaha.nets.call import Answered, Call, Over
from mediaha.nets.decide import decide
from mediaha.nets.events import (
    AnswerMedia,
    Challenged,
    DropMedia,
    EndStray,
    Event,
    MediaFailed,
    MediaReady,
    Note,
    OfferMedia,
    Reply,
    Responded,
    Send,
    SendAck,
    SendCancel,
    Stop,
    Tick,
    Tried,
    Unanswered,
)
from mediaha.nets.family import reached_by
from mediaha.nets.journal import Journal
from mediaha.nets.ports import Checkpoint, Media
from mediaha.nets.rules import Rules
from mediaha.nets.story import Stories, Story
from mediaha.nets.tables import Alarms, Held, Tables
from mediaha.nets.trunks.accounts import cnonce
from mediaha.nets.trunks.watch import Trunks
from mediaha.nets.turn import Decision
from mediaha.nets.way import ways
from mediaha.sip.auth.client import Answerer, shown_in
from mediaha.sip.dialog import Dialog
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request, Response
from mediaha.sip.target import Target
from mediaha.sip.transaction.clients import TransactionsFull
from mediaha.sip.transaction.events import ClientEvent, Unreachable

ASKS_WHO = frozenset({401, 407})

_log = structlog.get_logger("nets")


class Carrier:
    """The calls of one NeTS and the means to act on them. Nothing here waits."""

    def __init__(
        self,
        endpoint: Endpoint,
        media: Media,
        rules: Rules,
        checkpoint: Checkpoint,
        trunks: Trunks,
    ) -> None:
        """``trunks`` is told what became of the INVITE to each destination, and says there who we are."""
        self.rules = rules
        self.tables = Tables()
        self.stories = Stories(rules.limits.stories_max)
        self.journal = Journal()
        self.counters: dict[str, int] = {}
        self.emptied = trio.Event()
        """Set when the last call is over; a new one each time somebody waits."""
        self._endpoint = endpoint
        self._media = media
        self._checkpoint = checkpoint
        self._trunks = trunks
        self._alarms = Alarms()
        self._alarm = trio.CancelScope()
        self._following: deque[tuple[Held, Event]] = deque()
        self.means: dict[type, Callable[[Held, Any], None]] = {
            Send: self._send,
            SendAck: self._send_ack,
            SendCancel: self._send_cancel,
            EndStray: self._end_stray,
            Reply: self._reply,
            OfferMedia: self._offer,
            AnswerMedia: self._answer,
            DropMedia: self._drop,
            Tried: self._tell_tried,
            Note: self._note,
        }
        """How each effect is carried out; what concerns other calls is added by ``switchboard.py``."""

    # What happens to calls

    def take(self, decision: Decision, request: Request, now: float, expect: Callable[[Held], None]) -> None:
        """A new call; ``expect`` enters the transaction that its first response belongs to."""
        held = self._hold(decision[0], now)
        self.tables.remember_invite(held, request)
        self.stories.also(held.story, request.call_id)
        expect(held)
        self._carry_out(held, decision)
        self._go_on()

    def begin(self, decision: Decision, now: float) -> None:
        """A new call that nobody has asked for by an INVITE."""
        self._carry_out(self._hold(decision[0], now), decision)

    def _hold(self, call: Call, now: float) -> Held:
        held = Held(call, Story(call, now, self.rules.limits.story_entries_max))
        self.tables.add(held)
        self.stories.begin(call.id, held.story)
        return held

    def adopt(self, call: Call) -> None:
        """A call that another NeTS has had, as ``call.adopted`` gave it."""
        held = self._hold(call, time.monotonic())
        for leg in (call.caller, call.callee):
            if leg.dialog is not None:
                self.stories.also(held.story, leg.dialog.call_id)
        self._note(held, Note("adopted", {"domain": call.domain}))
        self.happens(held, Tick())

    def happens(self, held: Held, event: Event) -> None:
        """Decide what an event makes of a call, and do it."""
        self._happens(held, event)
        self._go_on()

    def follow(self, held: Held, event: Event) -> None:
        """Let an event happen to a call once the decision that is being carried out is done."""
        self._following.append((held, event))

    def _happens(self, held: Held, event: Event) -> None:
        try:
            decision = decide(held.call, event, time.monotonic(), self.rules)
        except Exception:
            # A mistake of ours in one call must not end the others; this one cannot be trusted any more.
            _log.exception("decision failed", call_id=held.call.id, event_type=type(event).__name__)
            self._count("decisions_failed")
            if isinstance(event, Stop):
                self._forget(held)
            else:
                self._happens(held, Stop("internal error"))
            return
        self._carry_out(held, decision)

    def _go_on(self) -> None:
        while self._following:
            self._happens(*self._following.popleft())

    def _carry_out(self, held: Held, decision: Decision) -> None:
        call, effects = decision
        before = held.call
        held.call = call
        if effects and not all(type(effect) is Note for effect in effects):
            self._checkpoint.write(call)
        for effect in effects:
            self.means[type(effect)](held, effect)
        if call.callee.tag != before.callee.tag:
            self.tables.renew(held)
        self._alarms.renew(held)
        due = held.due
        if due is not None and due < self._alarm_at:
            self._ring_at(due)
        if isinstance(call.phase, Over):
            self._forget(held)

    def _forget(self, held: Held) -> None:
        if self.tables.calls.get(held.call.id) is not held:
            return
        # The transactions stay for half a minute, and the story for longer.
        held.call = held.call.in_short()
        held.story.update(held.call)
        self.tables.remove(held)
        self.stories.end(held.call.id)
        self._checkpoint.forget(held.call.id)
        if not self.tables.calls:
            self.emptied.set()

    # Time

    _alarm_at = float("inf")

    def _ring_at(self, due: float) -> None:
        self._alarm_at = due
        self._alarm.deadline = trio.current_time() + (due - time.monotonic())

    async def keep_time(self) -> None:
        """Tell calls when something is due, until cancelled."""
        while True:
            due = self._alarms.next()
            with trio.CancelScope() as self._alarm:
                self._alarm_at = float("inf")
                if due is not None:
                    self._ring_at(due)
                await trio.sleep_forever()
            while (held := self._alarms.take(time.monotonic())) is not None:
                self.happens(held, Tick())
                self._alarms.renew(held)

    # Messages

    def _send(self, held: Held, effect: Send) -> None:
        answerer = self._answerer(held, effect.ref)
        if answerer is not None and not shown_in(effect.request):
            effect = replace(effect, request=answerer.prove(effect.request, cnonce()))
        told = partial(self._told, held, effect)
        if effect.request.method == "INVITE" and effect.request.to.tag is None:
            self.stories.also(held.story, effect.request.call_id)
        try:
            widens = not held.call.has_phone_at(effect.target)
            held.clients[effect.ref] = self._endpoint.send(effect.request, effect.target, told, widens=widens)
            if answerer is not None and effect.request.method == "INVITE":
                held.shown[effect.ref] = shown_in(effect.request)
        except TransactionsFull:
            self._count("transactions_full")
            self.follow(held, Unanswered(effect.ref, unreachable=True))

    def _told(self, held: Held, sent: Send, outcome: ClientEvent) -> None:
        """Something came of a request of ours."""
        ref, request = sent.ref, sent.request
        if isinstance(outcome, Unreachable):
            facts: dict[str, object] = {"method": request.method, "target": str(sent.target), "why": outcome.why}
            self._note(held, Note("unreachable", facts))
        if isinstance(outcome, Unreachable) and sent.otherwise:
            self._send(held, replace(sent, target=sent.otherwise[0], otherwise=sent.otherwise[1:]))
            self._go_on()
        elif isinstance(outcome, Response):
            if outcome.status >= 200 and not (request.method == "INVITE" and outcome.status < 300):
                held.let_go(ref)
            if outcome.status in ASKS_WHO and self._answered_who(held, sent, outcome):
                return
            self.happens(held, Responded(ref, request, outcome))
            self._done_with(held, ref, request, outcome)
        else:
            held.let_go(ref)
            self.happens(held, Unanswered(ref, unreachable=isinstance(outcome, Unreachable)))

    def _answerer(self, held: Held, ref: int) -> Answerer | None:
        """Who says who we are to whoever a request of ours is for."""
        call = held.call
        if not (call.caller.trunk or call.callee.trunk):
            return None
        item = next((item for item in call.open if item.ref == ref), None)
        if item is None:
            return None
        leg = call.leg(item.party)
        met = item.met or leg.met
        return self._trunks.answerer(leg.trunk, met) if leg.trunk and met is not None else None

    def _answered_who(self, held: Held, sent: Send, response: Response) -> bool:
        """Whether a challenge could be answered, and is."""
        answerer = self._answerer(held, sent.ref)
        proved = answerer.answer(sent.request, response, cnonce()) if answerer is not None else None
        if proved is not None:
            self.happens(held, Challenged(sent, response, proved))
        return proved is not None

    def _done_with(self, held: Held, ref: int, request: Request, response: Response) -> None:
        """Forget an accepted re-INVITE, unless its ACK is still due. More forks may answer the first INVITE."""
        relay = held.call.relay
        if response.status >= 200 and request.to.tag is not None and (relay is None or relay.ref != ref):
            held.let_go(ref)

    def _send_ack(self, held: Held, effect: SendAck) -> None:
        key = held.clients.get(effect.ref)
        if key is not None:
            shown = held.shown.get(effect.ref, ())
            ack = effect.request.with_headers(effect.request.headers.with_added(shown)) if shown else effect.request
            self._endpoint.send_ack(ack, self._open((effect.target, *effect.otherwise)), key)

    def _open(self, found: tuple[Target, ...]) -> Target:
        """The first way that does not insist on a connection that is gone."""
        return next((way for way in found if self._endpoint.is_open(way)), found[-1])

    def _send_cancel(self, held: Held, effect: SendCancel) -> None:
        key = held.clients.get(effect.ref)
        if key is not None:
            self._endpoint.cancel(key, effect.headers)

    def _end_stray(self, held: Held, effect: EndStray) -> None:
        key = held.clients.get(effect.ref)
        try:
            dialog = replace(Dialog.from_response(effect.request, effect.response), local_cseq=effect.cseq - 1)
        except Malformed:
            return  # there is nowhere to send an ACK; the callee's own timers end it
        if effect.request.to.tag is not None:
            # It was in a dialog, whose route no response changes (section 12.2.1.2).
            dialog = replace(dialog, route_set=tuple(effect.request.headers.all("Route")))
        target = self._open(ways(dialog, effect.met, by_flow=effect.by_flow))
        if key is not None:
            self._endpoint.send_ack(dialog.ack(effect.request.cseq.number), target, key)
        _, bye = dialog.request("BYE")
        try:
            self._endpoint.send(bye, target, _heed_nothing)
        except TransactionsFull:
            self._count("transactions_full")

    def _reply(self, held: Held, effect: Reply) -> None:
        waiting = held.servers.get(effect.tx)
        if waiting is None:
            return
        key, request = waiting
        response = request.response(
            effect.status, effect.reason, to_tag=effect.to_tag, headers=effect.headers, body=effect.body
        )
        self._endpoint.respond(key, response)
        if effect.status >= 200:
            keep = effect.status < 300 and request.method == "INVITE"
            self.tables.answered(held, effect.tx, keep=keep)

    def _tell_tried(self, held: Held, effect: Tried) -> None:
        if effect.destination.trunk:
            self._trunks.heard(effect.destination, effect.failure, effect.retry_after)

    def _note(self, held: Held, note: Note) -> None:
        ms = held.story.add(time.monotonic(), note)
        held.story.update(held.call)
        self.journal.add(held.call.id, ms, note)
        self._count(note.what)

    def _count(self, what: str) -> None:
        self.counters[what] = self.counters.get(what, 0) + 1

    # The pool

    def _offer(self, held: Held, effect: OfferMedia) -> None:
        call = held.call
        about = (call.id, effect.from_tag, effect.to_tag, effect.sdp)
        self._ask(held, effect.ask, partial(self._media.begin_offer, *about, call.servers, effect.family))

    def _answer(self, held: Held, effect: AnswerMedia) -> None:
        about = (held.call.id, effect.from_tag, effect.to_tag, effect.sdp)
        self._ask(held, effect.ask, partial(self._media.begin_answer, *about, effect.family))

    def _ask(self, held: Held, number: int, ask: Callable[[OnOutcome], None]) -> None:
        try:
            ask(partial(self._spoken, held, number))
        except MediaRefused as refused:
            self.follow(held, MediaFailed(number, refused))
        else:
            held.asking = True

    def _spoken(self, held: Held, number: int, outcome: Outcome) -> None:
        """The pool's word on a question of a call."""
        held.asking = False
        if held.drop:
            self._media.begin_delete(held.call.id)
        if isinstance(outcome, MediaRefused):
            self.happens(held, MediaFailed(number, outcome))
        else:
            self.happens(held, MediaReady(number, outcome))

    def _drop(self, held: Held, _: DropMedia) -> None:
        # A deletion that overtook the offer it is to undo would leave the media behind.
        held.drop = True
        if not held.asking:
            self._media.begin_delete(held.call.id)

    async def adopt_media(self, held: Held) -> None:
        """Make an adopted call's media the pool's."""
        call = held.call
        first, second = call.leg(call.offerer), call.leg(call.offerer.other)
        try:
            await self._media.adopt(
                call.id,
                from_tag=first.tag,
                to_tag=second.tag,
                from_sdp=first.sdp,
                to_sdp=second.sdp or None,
                servers=call.servers,
                current=getattr(call.place, "server", None),
                to_family=reached_by(second),
            )
        except MediaRefused as refused:
            self.happens(held, Stop(f"no media: {refused.reason}"))

    def connected(self) -> int:
        """How many calls have been answered and are not ending."""
        return sum(isinstance(held.call.phase, Answered) for held in self.tables.calls.values())


def _heed_nothing(_: ClientEvent) -> None:
    """The response to the BYE of a dialog that nobody wanted: whatever it is, that was all."""
