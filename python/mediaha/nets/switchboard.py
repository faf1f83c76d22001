"""Connects calls with one another: what one call has decided that concerns another is carried there.

A transfer makes a call on behalf of a party (``errand.py``), and the party goes over to it; an INVITE with Replaces
takes a party out of a call. The calls themselves know of each other by name only.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import structlog
from msgspec.structs import replace

from mediaha.nets import errand
from mediaha.nets.admission import Refusal
from mediaha.nets.call import Answered, Call, Ending, Idle, Leg, Over, Placing, Ringing, Trying
from mediaha.nets.carrier import Carrier
from mediaha.nets.destination import Destination, secured
from mediaha.nets.events import (
    Bereft,
    Cancelled,
    FindWays,
    GiveBack,
    HandOver,
    Joined,
    Keep,
    Lent,
    Orphan,
    PickedUp,
    PlaceFor,
    Progressed,
    Report,
    Returned,
    Stop,
    TakeBack,
    Taken,
    WaysFound,
)
from mediaha.nets.referral import Replaces, host_of, is_secure, replaces_untrusted, user_of
from mediaha.nets.routing import Way
from mediaha.nets.tables import Held
from mediaha.nets.underway import NOBODY, Party, Transfer
from mediaha.sip.dialog import Dialog
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request, reason_of
from mediaha.sip.target import Target
from mediaha.sip.uri import uri_untrusted

_log = structlog.get_logger("nets")

UNKNOWN = Refusal(481)
NOT_NOW = Refusal(500, headers=(("Retry-After", "1"),))


class Switchboard:
    """What happens between the calls of one NeTS."""

    def __init__(self, carrier: Carrier, way_to: Callable[[str, str, str], Way | Refusal]) -> None:
        """``way_to`` finds the way to a user at a host, and a domain that counts when the host is ours."""
        self._carrier = carrier
        self._way_to = way_to
        self._tables = carrier.tables
        carrier.means |= {
            FindWays: self._find_ways,
            PlaceFor: self._place_for,
            TakeBack: self._take_back,
            HandOver: self._hand_over,
            Keep: self._keep,
            GiveBack: self._give_back,
            Orphan: self._orphan,
            Report: self._report,
        }

    def replace(
        self, request: Request, tx: int, flow: Target, expect: Callable[[Held, Party], None], *, trunk: str,
        by_flow: bool, trusted: bool,
    ) -> Refusal | None:  # fmt: skip
        """An INVITE with Replaces (RFC 3891): its sender takes the place of a party of a call, or is refused.

        ``expect`` enters its transaction, as the party's that it has become.
        """
        try:
            replaces = replaces_untrusted(*request.headers.all("Replaces"))
        except Malformed as fault:
            return Refusal(400, str(fault))
        found = self._named(replaces)
        if found is None:
            return UNKNOWN
        held, party = found
        call = held.call
        if isinstance(call.phase, Ringing) and party is Party.CALLEE:
            return self._pick_up(held, PickedUp(tx, request, flow, trunk, by_flow, trusted), expect)
        if not isinstance(call.phase, Answered):
            return UNKNOWN
        if replaces.early_only:
            return Refusal(486)
        if call.waiting_tx is not None or not call.joined or call.leg(party.other).away:
            return NOT_NOW
        now, remaining = time.monotonic(), party.other
        leg = errand.travelling(call.leg(remaining), now, self._carrier.rules)
        if not request.body and not isinstance(leg.exchange, Idle):
            return NOT_NOW  # it would have to be asked for an offer while it is asked for something else
        try:
            decision = errand.replacing(
                request, tx, flow, leg, call, id=secrets.token_hex(10), seed=secrets.token_hex(16),
                placed_at=time.time(), now=now, rules=self._carrier.rules, trunk=trunk, by_flow=by_flow,
                trusted=trusted,
            )  # fmt: skip
        except Malformed as fault:
            return Refusal(400, str(fault))
        self._tables.let_go(held, leg.tag)
        self._carrier.follow(held, Lent(remaining, decision[0].id))
        self._carrier.take(decision, request, now, lambda new: expect(new, Party.CALLER))
        self._known_by(decision[0].id, leg)
        return None

    def _pick_up(self, held: Held, event: PickedUp, expect: Callable[[Held, Party], None]) -> Refusal | None:
        """A phone rings in that dialog: the INVITE is the call's from now on."""
        try:
            Dialog.from_request(event.request, "")
        except Malformed as fault:
            return Refusal(400, str(fault))
        expect(held, Party.CALLEE)
        self._carrier.stories.also(held.story, event.request.call_id)
        self._carrier.happens(held, event)
        return None

    def _known_by(self, call_id: str, leg: Leg) -> None:
        """The call can be asked about by the Call-ID of a leg that has come into it."""
        held = self._tables.calls.get(call_id)
        if held is not None and leg.dialog is not None:
            self._carrier.stories.also(held.story, leg.dialog.call_id)

    def _named(self, replaces: Replaces) -> tuple[Held, Party] | None:
        """The call, and the party in it, whose dialog this is."""
        # Some phones take the tags for those of the other side.
        for ours, theirs in ((replaces.to_tag, replaces.from_tag), (replaces.from_tag, replaces.to_tag)):
            found = self._tables.by_tag(ours)
            dialogs = () if found is None else _dialogs(found[0].call, found[1])
            if any((one.call_id, one.remote_tag) == (replaces.call_id, theirs) for one in dialogs):
                return found
        return None

    def _find_ways(self, held: Held, effect: FindWays) -> None:
        targets: list[Destination] = []
        sender = effect.sender
        for user, host in effect.contacts:
            if host in {sender.target.address.host, uri_untrusted(sender.uri).host} and not sender.is_phone:
                targets.append(replace(sender, user=user))
                continue
            way = self._way_to(user, host, held.call.domain)
            if isinstance(way, Way):
                targets += (one if one.is_phone else replace(one, user=user) for one in way.targets)
        phase = held.call.phase
        if isinstance(phase, Trying | Ringing) and phase.invite.secure:
            targets = list(secured(targets))
        self._carrier.follow(held, WaysFound(effect.ref, effect.response, tuple(targets)))

    # A transfer, step by step

    def _place_for(self, held: Held, effect: PlaceFor) -> None:
        transfer = effect.transfer
        replaces = transfer.referral.replaces
        consulted = None if replaces is None else self._named(replaces)
        refusal = self._connect(held, transfer, *consulted) if consulted else self._call(held, transfer)
        if refusal is not None:
            reason = refusal.reason or reason_of(refusal.status)
            self._carrier.follow(held, Progressed(transfer.call, refusal.status, reason))

    def _call(self, held: Held, transfer: Transfer) -> Refusal | None:
        """To somebody whom nobody here talks to."""
        referral = transfer.referral
        try:
            user, host = user_of(referral), host_of(referral)
        except Malformed as fault:
            return Refusal(400, str(fault))
        way = self._way_to(user, host, held.call.domain)
        secure = is_secure(referral)
        if isinstance(way, Way) and secure:
            way = way.secured()
        if isinstance(way, Refusal):
            return way
        self._begin(held, transfer, user, way, secure=secure)
        return None

    def _begin(self, held: Held, transfer: Transfer, user: str, way: Way, *, secure: bool) -> None:
        now = time.monotonic()
        decision = errand.call_for(
            held.call, transfer, user=user, domain=way.domain, servers=way.servers, targets=way.targets,
            placed_at=time.time(), now=now, rules=self._carrier.rules, secure=secure,
        )  # fmt: skip
        self._carrier.begin(decision, now)

    def _connect(self, held: Held, transfer: Transfer, consulted: Held, party: Party) -> Refusal | None:
        """To whom the referrer talks in another call; or whom it is still calling there."""
        call = consulted.call
        if consulted is held:
            return UNKNOWN
        if isinstance(call.phase, Placing | Trying | Ringing) and party is Party.CALLER and call.joined:
            # Nobody has answered there: that call is taken back, and made again for the one who is transferred.
            alone = replace(transfer, referral=replace(transfer.referral, replaces=None))
            way = Way(call.domain, call.servers, call.targets)
            self._begin(held, alone, call.phase.invite.user, way, secure=call.phase.invite.secure)
            self._carrier.follow(consulted, Cancelled(call.phase.tx))
            return None
        if not isinstance(call.phase, Answered) or call.waiting_tx is not None or not call.joined:
            return UNKNOWN
        now, rules, target = time.monotonic(), self._carrier.rules, party.other
        if call.leg(target).away:
            return NOT_NOW
        leg = errand.travelling(call.leg(target), now, rules)
        decision = errand.bridge_for(
            held.call, transfer, leg, call, placed_at=time.time(), now=now, rules=rules
        )  # fmt: skip
        self._tables.let_go(consulted, leg.tag)
        self._carrier.follow(consulted, Lent(target, transfer.call))
        self._carrier.begin(decision, now)
        self._known_by(transfer.call, leg)
        return None

    def _report(self, held: Held, effect: Report) -> None:
        concerned = self._tables.calls.get(effect.to)
        if concerned is not None:
            self._carrier.follow(concerned, Progressed(held.call.id, effect.status, effect.reason))
        elif 200 <= effect.status < 300 and not held.call.joined:
            self._carrier.follow(held, Stop("nobody is there to be connected"))

    def _hand_over(self, held: Held, effect: HandOver) -> None:
        other = self._tables.calls.get(effect.call)
        leg = errand.travelling(effect.leg, time.monotonic(), self._carrier.rules)
        if other is None or leg.dialog is None:
            _log.error("a party was handed over to a call that is not there", call_id=held.call.id, to=effect.call)
            return
        self._tables.hand_over(leg.tag, held, other, Party.CALLER)
        self._known_by(effect.call, leg)
        self._carrier.follow(other, Joined(leg))

    def _take_back(self, _: Held, effect: TakeBack) -> None:
        other = self._tables.calls.get(effect.call)
        if other is not None:
            waits = other.call.waiting_tx == NOBODY
            self._carrier.follow(other, Cancelled(NOBODY) if waits else Stop("the transfer was taken back"))

    # A party that one call has lent to another

    def _keep(self, held: Held, effect: Keep) -> None:
        found = self._lender(held, effect.lender)
        if found is not None:
            lender, party = found
            self._carrier.follow(lender, Taken(party, held.call.id))

    def _give_back(self, held: Held, effect: GiveBack) -> None:
        found = self._lender(held, effect.lender)
        if found is None:
            self._carrier.follow(held, Bereft())
            return
        lender, party = found
        self._tables.hand_over(effect.leg.tag, held, lender, party)
        self._carrier.follow(lender, Returned(effect.leg, effect.renew))

    def _orphan(self, _: Held, effect: Orphan) -> None:
        other = self._tables.calls.get(effect.call)
        if other is not None and other.call.lender:
            self._carrier.follow(other, Bereft())

    def _lender(self, held: Held, name: str) -> tuple[Held, Party] | None:
        """The call that has lent a party to this one, and which; None: it is over."""
        lender = self._tables.calls.get(name)
        if lender is None or isinstance(lender.call.phase, Ending | Over):
            return None
        party = next((one for one in Party if lender.call.leg(one).away == held.call.id), None)
        return None if party is None else (lender, party)


def _dialogs(call: Call, party: Party) -> tuple[Dialog, ...]:
    """A party's dialog, or those with all the phones that ring."""
    dialog, phase = call.leg(party).dialog, call.phase
    if dialog is not None:
        return (dialog,)
    if party is Party.CALLEE and isinstance(phase, Ringing):
        return tuple(fork.dialog for fork in phase.forks)
    return ()
