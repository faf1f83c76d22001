"""Calls over a bad network: whatever is lost, repeated or reordered, every call ends, and nothing is left of it."""

import pytest

from mediaha.sip.dialog import Dialog
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.transaction.events import Acknowledged, Cancelled, Incoming, ServerKey, TimedOut, Unacknowledged

from .world import ALICE, BOB, Party, Weather, World


class Callee:
    """Answers calls, refuses those to ``busy``, lets those to ``slow`` ring until they are cancelled."""

    def __init__(self, party: Party, world: World) -> None:
        self.party = party
        self.world = world
        party.on_event = self.hear
        self.outcome: dict[str, list[str]] = {}
        self.calls: dict[str, Request] = {}
        self.ringing: dict[str, ServerKey] = {}

    def hear(self, event) -> None:
        match event:
            case Incoming(request, transaction, _):
                self.answer(request, transaction)
            case Acknowledged(request, _, _):
                self.note(request, "acknowledged")
            case Cancelled(request, transaction, _):
                self.note(request, "cancelled")
                self.respond(transaction, self.calls[request.call_id], 487)
            case Unacknowledged():
                self.outcome.setdefault("unacknowledged", []).append("")

    def answer(self, request: Request, transaction) -> None:
        self.note(request, request.method)
        status = 200
        if request.method == "INVITE":
            self.calls[request.call_id] = request
            self.respond(transaction, request, 180)
            if "slow" in request.uri:
                self.ringing[request.call_id] = transaction
                return
            status = 486 if "busy" in request.uri else 200
        self.respond(transaction, request, status)

    def stop_ringing(self) -> None:
        """Nobody has picked up: a program must not let calls ring for ever, their caller may have gone unheard."""
        for call_id, transaction in self.ringing.items():
            self.respond(transaction, self.calls[call_id], 480)

    def respond(self, transaction, request: Request, status: int) -> None:
        headers = [("Contact", f"<sip:bob@{BOB}>")]
        self.party.layer.respond(transaction, request.response(status, to_tag="bob", headers=headers), self.world.now)

    def note(self, request: Request, what: str) -> None:
        self.outcome.setdefault(request.call_id, []).append(what)


class Caller:
    """Calls; hangs up as soon as it was answered, and cancels what is slow."""

    def __init__(self, party: Party, world: World) -> None:
        self.party = party
        self.world = world
        self.outcome: dict[str, list[str]] = {}

    def call(self, call_id: str, whom: str) -> None:
        fields = [
            ("Max-Forwards", "70"),
            ("From", f"<sip:alice@example.test>;tag={call_id}"),
            ("To", f"<sip:{whom}@example.test>"),
            ("Call-ID", call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:alice@{ALICE}>"),
        ]
        request = Request("INVITE", f"sip:{whom}@{BOB}", Headers(fields))
        said = self.outcome.setdefault(call_id, [])

        def hear(event) -> None:
            said.append("timeout" if isinstance(event, TimedOut) else str(event.status))
            if not isinstance(event, Response) or not 200 <= event.status < 300:
                return
            dialog = Dialog.from_response(request, event)
            self.party.layer.send_ack(dialog.ack(1), dialog.next_hop(), key)
            _, bye = dialog.request("BYE")
            self.party.layer.send(bye, dialog.next_hop(), lambda end: said.append(f"bye {ended(end)}"), self.world.now)

        key = self.party.layer.send(request, BOB, hear, self.world.now)
        if whom == "slow":
            self.party.layer.cancel(key, [], self.world.now)


def ended(event) -> str:
    return str(event.status) if isinstance(event, Response) else type(event).__name__


@pytest.mark.parametrize("seed", range(60))
def test_every_call_ends_and_nothing_stays_behind(seed):
    weather = Weather(loss=(seed % 5) * 0.1, duplication=0.2 * (seed % 3), delay=(0.001, 0.001 + 0.4 * (seed % 4)))
    world = World(seed, weather)
    callee = Callee(world.party(BOB), world)
    caller = Caller(world.party(ALICE), world)
    for number in range(12):
        caller.call(f"call-{seed}-{number}", ("bob", "busy", "slow")[number % 3])
    world.settle()
    callee.stop_ringing()
    world.settle()
    story = "\n".join(world.story[-200:])
    for party in world.parties.values():
        assert (party.layer.open_clients, party.layer.open_servers) == (0, 0), story
    for call_id, said in caller.outcome.items():
        finals = [word for word in said if word in {"200", "486", "487", "timeout"}]
        assert len(finals) == 1, (call_id, said, story)
        heard = callee.outcome.get(call_id, [])
        assert heard.count("INVITE") <= 1, (call_id, heard, story)
        assert heard.count("acknowledged") <= 1, (call_id, heard, story)
        if finals == ["200"]:
            assert [word for word in said if word.startswith("bye")], (call_id, said, story)
        if not weather.loss:
            assert finals != ["timeout"], (call_id, said, story)
            assert "acknowledged" in heard or finals != ["200"]


def test_without_a_peer_every_call_times_out_and_is_forgotten():
    world = World(1)
    caller = Caller(world.party(ALICE), world)
    for number in range(100):
        caller.call(f"call-{number}", ("bob", "slow")[number % 2])
    world.settle()
    assert all(said == ["timeout"] for said in caller.outcome.values())
    assert world.parties[ALICE].layer.open_clients == 0
    assert world.now < 40


def test_the_same_seed_tells_the_same_story():
    stories = []
    for _ in range(2):
        world = World(7, Weather(loss=0.3, duplication=0.3, delay=(0.001, 0.8)))
        Callee(world.party(BOB), world)
        Caller(world.party(ALICE), world).call("again", "bob")
        world.settle()
        stories.append(world.story)
    assert stories[0] == stories[1]
