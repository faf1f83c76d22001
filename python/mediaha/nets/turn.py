"""One decision being made: the call as it is becoming, and what is to be done so far.

The reducers in this package take a ``Turn`` and change what it holds; from outside, a decision stays a function of
the call, the event, the time and the rules (see ``decide.py``). What several of them do is here: talk in a dialog,
ask the pool, note a decision.
"""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from mediaha.model.media import Attempt
from mediaha.nets.call import (
    IDLE,
    Answered,
    AwaitingAck,
    Call,
    Exchange,
    Leg,
    Offering,
    Phase,
    Place,
    Ringing,
    draw,
)
from mediaha.nets.events import Effect, EndStray, Note, Reply, Report, Send, SendAck
from mediaha.nets.expiry import (
    as_client,
    as_server,
    asked_untrusted,
    methods_untrusted,
    minimum_untrusted,
    request_fields,
)
from mediaha.nets.headers import ABILITIES, SDP_TYPE, UNRELIABLY
from mediaha.nets.rules import Rules
from mediaha.nets.underway import NOBODY, Open, Party, Purpose, Relay, Transfer
from mediaha.nets.way import ways
from mediaha.sip.dialog import Dialog
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Message, Request, Response, reason_of
from mediaha.sip.sdp import Origin, with_origin
from mediaha.sip.target import Target

Pairs = tuple[tuple[str, str], ...]
Decision = tuple[Call, list[Effect]]
"""The call as it became, and what is to be done."""


class Turn:
    """A call in the middle of a decision."""

    __slots__ = ("call", "effects", "now", "rules")

    def __init__(self, call: Call, now: float, rules: Rules) -> None:
        self.call = call
        self.now = now
        self.rules = rules
        self.effects: list[Effect] = []

    # The call's parts

    def leg(self, party: Party) -> Leg:
        return self.call.caller if party is Party.CALLER else self.call.callee

    def set_leg(self, party: Party, **changes: object) -> None:
        self.call = self.call.with_leg(party, replace(self.call.leg(party), **changes))

    def become(self, phase: Phase) -> None:
        self.call = replace(self.call, phase=phase)

    def put(self, place: Place) -> None:
        self.call = replace(self.call, place=place)

    def relay(self, relay: Relay | None) -> None:
        self.call = replace(self.call, relay=relay)

    def transfer(self, transfer: Transfer | None) -> None:
        self.call = replace(self.call, transfer=transfer)

    def number(self) -> int:
        """The next number for a transaction or question of this call."""
        counter = self.call.counter + 1
        self.call = replace(self.call, counter=counter)
        return counter

    def chance(self, what: str) -> float:
        """A number from 0 to 1, the same for the same call and moment of its life."""
        drawn = draw(self.call.seed, f"{what} {self.call.counter}")
        return int.from_bytes(drawn[:4], "big") / 2**32

    def note(self, what: str, story: tuple[Attempt, ...] = (), **facts: object) -> None:
        """A decision was made: for ``explain`` and the log."""
        self.effects.append(Note(what, facts, story))

    # Server transactions

    def reply(
        self, tx: int, status: int, reason: str | None = None, *, tag: str | None = None, headers: Pairs = ()
    ) -> None:
        """A response without SDP."""
        if tx == NOBODY:
            self._report(status, reason)
            return
        self._final(tx, status)
        self.effects.append(Reply(tx, status, reason, tag, headers))

    def reply_sdp(self, party: Party, tx: int, status: int, *, headers: Pairs = (), sdp: bytes = b"") -> None:
        """A response that a dialog can grow on: with Contact, and with the SDP for the party if there is any."""
        if tx == NOBODY:
            self._report(status)
            return
        contact = (self.contact(party), *ABILITIES, *headers)
        self._final(tx, status)
        if 200 <= status < 300 and isinstance(self.call.phase, Answered):
            contact = (*contact, *self._agree(party))
        body = self.told(party, sdp) if sdp else b""
        fields = (*contact, SDP_TYPE) if body else contact
        self.effects.append(Reply(tx, status, None, self.leg(party).tag, fields, body))

    def _report(self, status: int, reason: str | None = None) -> None:
        """The call is made on behalf of a party of another one, which hears what a caller would hear."""
        self.effects.append(Report(self.call.on_behalf_of, status, reason or reason_of(status)))

    def contact(self, party: Party) -> tuple[str, str]:
        """Our Contact, as the party can use it."""
        leg = self.leg(party)
        return ("Contact", f"<{self.rules.contact_to(leg.met, secure=leg.secure)}>")

    def _final(self, tx: int, status: int) -> None:
        """After the final response to the INVITE no provisional one is repeated (RFC 3262 section 3)."""
        promised = self.call.reliable
        if status >= 200 and promised is not None and promised.tx == tx:
            self.call = replace(self.call, reliable=replace(promised, sent=None, waiting=()))

    # Client transactions

    def told(self, party: Party, sdp: bytes) -> bytes:
        """The media server's SDP as the party is to get it, remembered as told.

        The session in o= is ours for the whole dialog, its version goes up when anything has changed (RFC 3264
        section 8).
        """
        leg = self.leg(party)
        session = int.from_bytes(leg.tag.encode()[:6], "big")
        version = leg.version
        body = with_origin(sdp, Origin("mediaha", session, version, self.rules.host))
        if body != leg.told:
            version += 1
            body = with_origin(sdp, Origin("mediaha", session, version, self.rules.host))
        self.set_leg(party, told=body, version=version, pending=b"")
        return body

    def dialog(self, party: Party) -> Dialog:
        """The party's dialog, where there must be one; of several early ones the one that was heard from last."""
        dialog = self.leg(party).dialog
        if dialog is None and isinstance(self.call.phase, Ringing) and self.call.phase.forks:
            return self.call.phase.forks[-1].dialog
        assert dialog is not None, f"the {party} has no dialog yet"
        return dialog

    def keep(self, party: Party, dialog: Dialog) -> None:
        """The party's dialog has gone on; while it is early it is one of the forks."""
        phase = self.call.phase
        if self.leg(party).dialog is None and isinstance(phase, Ringing):
            forks = (
                replace(fork, dialog=dialog) if fork.dialog.remote_tag == dialog.remote_tag else fork
                for fork in phase.forks
            )
            self.become(replace(phase, forks=tuple(forks)))
            self._count_early(dialog)
        else:
            self.set_leg(party, dialog=dialog)

    def send(
        self,
        party: Party,
        method: str,
        purpose: Purpose,
        *,
        headers: Pairs = (),
        body: bytes = b"",
        content_type: str = "",
        until: float | None = None,
        back: int = 0,
    ) -> int:
        """A request inside the party's dialog."""
        dialog, request = self.dialog(party).request(method, headers=headers, body=body, content_type=content_type)
        self.keep(party, dialog)
        ref = self.number()
        self.opened(Open(ref=ref, party=party, purpose=purpose, until=until, back=back))
        first, *others = self._ways(party, self.dialog(party))
        self.effects.append(Send(ref, request, first, tuple(others)))
        return ref

    def stray(self, item: Open | None, ref: int, request: Request, response: Response) -> EndStray:
        """Acknowledge and end what a 2xx has begun that nobody wants; of two from one target ``item`` is None.

        Its early dialog may be forgotten by now, but not how far it has counted (12.2.1.1): a BYE with the number of a
        PRACK would be refused, and the callee left in a call that nobody knows of.
        """
        leg = self.leg(Party.CALLER if request.from_tag == self.call.caller.tag else Party.CALLEE)
        met = (item.met if item is not None else None) or leg.met
        assert met is not None, "no INVITE was sent nowhere"
        cseq = max(request.cseq.number, self.call.early_cseq) + 1
        return EndStray(ref, request, response, met, cseq, leg.by_flow)

    def prack(self, dialog: Dialog, rseq: int, cseq: int) -> Dialog:
        """Acknowledge a provisional response in an early dialog of the callee (RFC 3262 section 4)."""
        dialog, request = dialog.request("PRACK", headers=(("RAck", f"{rseq} {cseq} INVITE"),))
        ref = self.number()
        self.opened(Open(ref=ref, party=Party.CALLEE, purpose=Purpose.HEEDLESS))
        first, *others = self._ways(Party.CALLEE, dialog)
        self.effects.append(Send(ref, request, first, tuple(others)))
        self._count_early(dialog)
        return dialog

    def _count_early(self, dialog: Dialog) -> None:
        self.call = replace(self.call, early_cseq=max(self.call.early_cseq, dialog.local_cseq))

    def reinvite(self, party: Party, sdp: bytes, purpose: Purpose = Purpose.MEDIA) -> int:
        """Our INVITE in the party's dialog, with this SDP, or without any: then the party is to offer."""
        body = self.told(party, sdp) if sdp else b""
        ref = self.send(
            party,
            "INVITE",
            purpose,
            headers=self.session_fields(party),
            body=body,
            content_type="application/sdp" if body else "",
            until=self.now + self.rules.limits.request_s_max,
        )
        self.set_leg(party, exchange=Offering(ref))
        return ref

    def tell(self, party: Party, sdp: bytes) -> int:
        """Give the party this SDP: by INVITE, or by UPDATE while the call is not answered (RFC 3311 section 5.1)."""
        if self.connected(party):
            return self.reinvite(party, sdp)
        ref = self.send(
            party,
            "UPDATE",
            Purpose.MEDIA,
            headers=(self.contact(party), *ABILITIES),
            body=self.told(party, sdp),
            content_type="application/sdp",
        )
        self.set_leg(party, exchange=Offering(ref))
        return ref

    def connected(self, party: Party) -> bool:
        """Whether the party's dialog is confirmed; with one who was in another call before, also while it rings."""
        waits = party is Party.CALLER and bool(self.call.on_behalf_of) and self.call.joined
        return waits or not isinstance(self.call.phase, Ringing)

    def agreed(self, party: Party) -> bool:
        """Whether offer and answer are complete on the leg, so that there may be another offer."""
        phase = self.call.phase
        if not isinstance(phase, Ringing):
            return isinstance(phase, Answered)
        if self.connected(party):
            return True
        if party is Party.CALLER:
            return self.call.reliable is not None and self.call.reliable.agreed
        # With several phones ringing it would have to be said to each of them.
        return len(phase.forks) == 1 and phase.forks[0].agreed

    def ack(self, party: Party, ref: int, cseq: int, sdp: bytes = b"") -> None:
        """Acknowledge the party's 2xx, with the answer when it was the party that offered."""
        dialog = self.dialog(party)
        body = self.told(party, sdp) if sdp else b""
        request = dialog.ack(cseq, body=body, content_type="application/sdp" if body else "")
        first, *others = self._ways(party, dialog)
        self.effects.append(SendAck(ref, request, first, tuple(others)))

    def _ways(self, party: Party, dialog: Dialog) -> tuple[Target, ...]:
        leg = self.leg(party)
        return ways(dialog, leg.met, leg.flow, by_flow=leg.by_flow)

    def await_ack(self, party: Party, tx: int) -> None:
        self.exchange(party, AwaitingAck(tx, self.now + self.rules.limits.request_s_max))

    def exchange(self, party: Party, exchange: Exchange) -> None:
        self.set_leg(party, exchange=exchange)

    def acknowledged(self, party: Party) -> None:
        """The ACK has come; an UPDATE that we sent before the call was answered may still be outstanding."""
        ours = (item.ref for item in self.call.open if item.party is party and item.purpose is Purpose.MEDIA)
        ref = next(ours, None)
        self.exchange(party, IDLE if ref is None else Offering(ref))

    def settled(self, party: Party, ref: int) -> None:
        """Our INVITE or UPDATE ``ref`` to the party is not outstanding any more."""
        if self.leg(party).exchange == Offering(ref):
            self.exchange(party, IDLE)

    def opened(self, item: Open) -> None:
        self.call = replace(self.call, open=(*self.call.open, item))

    def find(self, ref: int) -> Open | None:
        """Our client transaction of this number, if its final response is still awaited."""
        for item in self.call.open:
            if item.ref == ref:
                return item
        return None

    def close(self, ref: int) -> None:
        """The client transaction has had its final response."""
        self.call = replace(self.call, open=tuple(item for item in self.call.open if item.ref != ref))

    def change(self, ref: int, **changes: object) -> None:
        """The client transaction now means something else, or is waited for until another time."""
        self.call = replace(
            self.call, open=tuple(replace(item, **changes) if item.ref == ref else item for item in self.call.open)
        )

    def disregard(self, party: Party) -> None:
        """What we have asked in the party's early dialogs is of no concern any more."""
        for item in self.call.open:
            if item.party is party and item.purpose is Purpose.MEDIA:
                self.change(item.ref, purpose=Purpose.HEEDLESS)
                self.settled(party, item.ref)

    def refresh(self, party: Party, response: Response) -> None:
        """The party's 2xx to our INVITE or UPDATE: its new Contact (12.2.1.2), and its session's timer anew."""
        with suppress(Malformed):  # an unreadable Contact moves nothing
            self.keep(party, self.dialog(party).answered(response))
        self.learn(party, response)
        wanted, minimum = self._intervals(party)
        self.set_leg(party, expiry=as_client(response, wanted=wanted, minimum=minimum, now=self.now))

    # Session timers (RFC 4028)

    def learn(self, party: Party, message: Message) -> None:
        """Keep what the party's INVITE or UPDATE, or its response to ours, says about what it can do."""
        methods = methods_untrusted(message)
        if methods is not None:
            self.set_leg(party, takes_update="UPDATE" in methods)
        if isinstance(message, Request):
            self.set_leg(party, asked=asked_untrusted(message))

    def session_fields(self, party: Party, *, reliably: bool = False) -> Pairs:
        """What our own INVITE or UPDATE to the party says about us and the session.

        ``reliably``: provisional responses will be acknowledged (RFC 3262).
        """
        wanted, minimum = self._intervals(party)
        expiry = self.leg(party).expiry
        timer = request_fields(expiry, wanted=wanted, minimum=minimum)
        return (self.contact(party), *(ABILITIES if reliably else UNRELIABLY), *timer)

    def raised(self, party: Party, request: Request, response: Response) -> bool:
        """Take the interval that the party's 422 asks for. False: it asks for none that our request did not have."""
        sent, minimum = asked_untrusted(request).interval, minimum_untrusted(response)
        if minimum <= sent:
            return False
        # At least twice as long, so that nobody makes us come again and again for one second more.
        self.set_leg(party, interval_min=max(minimum, 2 * sent))
        return True

    def _agree(self, party: Party) -> Pairs:
        """The session's timer as our 2xx to the party's INVITE or UPDATE sets it."""
        limits = self.rules.limits
        expiry, fields = as_server(
            self.leg(party).asked, wanted=limits.session_s, minimum=limits.session_s_min, now=self.now
        )
        self.set_leg(party, expiry=expiry)
        return fields

    def _intervals(self, party: Party) -> tuple[int, int]:
        """The interval that we want on the party's leg, and the least that we may have."""
        limits = self.rules.limits
        minimum = max(limits.session_s_min, self.leg(party).interval_min)
        return max(limits.session_s, minimum), minimum
