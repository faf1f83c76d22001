"""The story of a call for a person: one line an event, with the milliseconds since the INVITE came.

NeTS tells it as JSON (see ``mediaha.nets.story``). This page knows the frame of it: what the call is, its events, and
the attempts in them. Facts that it does not know are shown as they are, so a newer NeTS can say more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from mediaha.cli.render import wide_console

Facts = Mapping[str, object]


def print_story(answer: object) -> None:
    """What is known of the call, then its events in their order."""
    story: Facts = answer if isinstance(answer, Mapping) else {}
    console = wide_console()
    for line in _head(story):
        console.print(Text(line))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for event in _maps(story.get("events")):
        table.add_row(_ms(event.get("ms")), Text(str(event.get("what", ""))), Text(_facts(event)))
        for attempt in _maps(event.get("attempts")):
            table.add_row(_ms(attempt.get("ms")), Text(f"  {attempt.get('server')}"), _attempt(attempt))
    console.print(table)
    if dropped := story.get("entries_dropped"):
        console.print(f"({dropped} events in between were not kept)")


def _head(story: Facts) -> Iterator[str]:
    yield f"call {story.get('call_id')}, placed {story.get('placed_at')}, now {story.get('state')}"
    names = ", ".join(str(name) for name in _list(story.get("call_ids")))
    if names:
        yield f"Call-IDs: {names}"
    servers = ", then ".join(str(name) for name in _list(story.get("media_servers")))
    targets = ", then ".join(str(name) for name in _list(story.get("targets")))
    yield f"domain {story.get('domain')}: media servers {servers}; targets {targets}"
    if (server := story.get("media_server")) is not None:
        yield f"media server: {server}"


def _attempt(attempt: Facts) -> Text:
    took = attempt.get("took_ms")
    outcome = str(attempt.get("outcome", ""))
    after = f" after {took:.1f} ms" if isinstance(took, int | float) else ""
    return Text(f"{attempt.get('request')}: {outcome}{after}", style="green" if outcome == "answered" else "yellow")


def _facts(event: Facts) -> str:
    facts = {key: value for key, value in event.items() if key not in ("ms", "what", "attempts")}
    return ", ".join(_fact(key, value) for key, value in facts.items())


def _fact(key: str, value: object) -> str:
    """A fact in words: ``took_ms`` 8.993 is ``took 9.0 ms``."""
    if key.endswith("_ms") and isinstance(value, int | float):
        return f"{key.removesuffix('_ms').replace('_', ' ')} {value:.1f} ms"
    return f"{key.replace('_', ' ')} {_said(value)}"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " then ".join(map(str, value)) if isinstance(value, list) else str(value)


def _ms(value: object) -> str:
    return f"{value:+.1f} ms" if isinstance(value, int | float) else ""


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _maps(value: object) -> list[Facts]:
    return [item for item in _list(value) if isinstance(item, Mapping)]
