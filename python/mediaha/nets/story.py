"""Stories: what was decided about each call, kept so that it can be explained afterwards (X6). Bounded."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime

from mediaha.model.media import Attempt
from mediaha.nets.call import Call, Phase
from mediaha.nets.events import Note


class Story:
    """One call's decisions in their order.

    When there are more than ``entries_max``, the beginning and the newest are kept, and what was in between is
    counted: how a call began and how it ended are what people ask for.
    """

    __slots__ = ("_began", "_call", "_dropped", "_entries", "_max", "call_ids")

    def __init__(self, call: Call, now: float, entries_max: int) -> None:
        self._began = now
        self._call = call
        self._entries: list[tuple[float, Note]] = []
        self._dropped = 0
        self._max = entries_max
        self.call_ids: list[str] = []
        """Of both legs; more than one of the callee's when several targets were tried."""

    def add(self, now: float, note: Note) -> float:
        """A decision was made at ``now`` (monotonic seconds). Gives the milliseconds since the call began."""
        self._entries.append((now, note))
        if len(self._entries) > self._max:
            del self._entries[self._max // 2]
            self._dropped += 1
        return self._ms(now)

    def update(self, call: Call) -> None:
        """The call as it is now."""
        self._call = call

    def explained(self) -> dict[str, object]:
        """The story as JSON-able values. ``ms`` are milliseconds since the INVITE came."""
        call = self._call
        return {
            "call_id": call.id,
            "call_ids": list(self.call_ids),
            "placed_at": datetime.fromtimestamp(call.placed_at, UTC).isoformat(timespec="milliseconds"),
            "domain": call.domain,
            "media_servers": list(call.servers),
            "targets": [str(target) for target in call.targets],
            "state": phase_name(call.phase),
            "media_server": getattr(call.place, "server", None),
            "entries_dropped": self._dropped,
            "events": [self._entry(at, note) for at, note in self._entries],
        }

    def _entry(self, at: float, note: Note) -> dict[str, object]:
        entry: dict[str, object] = {"ms": self._ms(at), "what": note.what, **note.facts}
        if note.story:
            entry["attempts"] = [self._attempt(attempt) for attempt in note.story]
        return entry

    def _attempt(self, attempt: Attempt) -> dict[str, object]:
        answered = attempt.answered_at
        return {
            "server": attempt.server,
            "request": attempt.request,
            "ms": self._ms(attempt.asked_at),
            "took_ms": None if answered is None else round((answered - attempt.asked_at) * 1000, 3),
            "outcome": attempt.outcome,
        }

    def _ms(self, at: float) -> float:
        return round((at - self._began) * 1000, 3)


class Stories:
    """The stories of the calls that are, and of the last ``ended_max`` that were; the oldest ended goes first."""

    def __init__(self, ended_max: int) -> None:
        self._ended: OrderedDict[str, Story] = OrderedDict()
        self._max = ended_max
        self._by_name: dict[str, Story] = {}

    def begin(self, call_id: str, story: Story) -> None:
        """A call's story begins, under NeTS's name for it."""
        self._by_name[call_id] = story

    def also(self, story: Story, sip_call_id: str) -> None:
        """The call is also known by this SIP Call-ID."""
        if sip_call_id in story.call_ids:
            return  # several phones were called together
        story.call_ids.append(sip_call_id)
        self._by_name[sip_call_id] = story

    def end(self, call_id: str) -> None:
        """The call is over; its story is kept for a while."""
        self._ended[call_id] = self._by_name[call_id]
        if len(self._ended) > self._max:
            oldest, story = self._ended.popitem(last=False)
            for name in (oldest, *story.call_ids):
                # A later call may have taken the Call-ID over: then that story stays.
                if self._by_name.get(name) is story:
                    del self._by_name[name]

    def call_ids(self, name: str) -> tuple[str, ...]:
        """The Call-IDs of all legs of the call that has this name; none: it is unknown."""
        story = self._by_name.get(name)
        return () if story is None else tuple(story.call_ids)

    def explain(self, name: str) -> dict[str, object] | None:
        """The story of a call by NeTS's name for it or either leg's Call-ID."""
        story = self._by_name.get(name)
        return None if story is None else story.explained()


def phase_name(phase: Phase) -> str:
    """The phase in a word: ``ringing``."""
    return type(phase).__name__.lower()
