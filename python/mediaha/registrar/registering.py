"""What a REGISTER makes of a user's contacts: all that it asks for or, when any of it cannot be, nothing (10.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mediaha.registrar.contacts import AGENT_LENGTH_MAX, Binding, Wanted, path_untrusted, wish_untrusted
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request
from mediaha.sip.registration import Answer
from mediaha.sip.target import Target

SUPPORTED = ("path",)
"""Extensions that a REGISTER may require."""

Bindings: TypeAlias = tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many contacts a user may have, and for how long (seconds)."""

    contacts_max: int = 10
    """One more takes the place of the one that expires first: phones that start anew leave theirs behind."""
    expires_s_min: int = 60
    """Shorter is refused with 423: it would be a flood."""
    expires_s_max: int = 3600
    """Longer is cut, and the phone told so: a phone that is gone would be rung for as long."""


class _Aborted(Exception):
    """The request fails as a whole, with this answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def register(
    bindings: Bindings, request: Request, flow: Target, now: float, limits: Limits
) -> tuple[Bindings, Answer]:
    """The user's contacts after the request, and its answer. The request is the user's own, which was proved."""
    before = current(bindings, now)
    try:
        wish, path = wish_untrusted(request, limits.contacts_max), path_untrusted(request)
        for binding in before:
            if wish.everything or any(binding.is_for(wanted) for wanted in wish.contacts):
                _check_order(binding, request)
        after = () if wish.everything else before
        for wanted in wish.contacts:
            after = _with(after, wanted, request, flow, path, now, limits)
    except Malformed as fault:
        return before, Answer(400, str(fault))
    except _Aborted as aborted:
        return before, aborted.answer
    paths = (("Path", ", ".join(path)),) if path else ()
    return after, Answer(200, headers=(*_listed(after, now), *paths))


def current(bindings: Bindings, now: float) -> Bindings:
    """Those that have not expired."""
    if all(binding.expires_at > now for binding in bindings):
        return bindings
    return tuple(binding for binding in bindings if binding.expires_at > now)


def _with(
    bindings: Bindings, wanted: Wanted, request: Request, flow: Target, path: tuple[str, ...], now: float,
    limits: Limits,
) -> Bindings:  # fmt: skip
    others = tuple(binding for binding in bindings if not binding.is_for(wanted))
    if wanted.expires_s == 0:
        return others
    if wanted.expires_s < limits.expires_s_min:
        raise _Aborted(Answer(423, headers=(("Min-Expires", str(limits.expires_s_min)),)))
    while len(others) >= limits.contacts_max:
        first = min(others, key=lambda binding: binding.expires_at)
        others = tuple(binding for binding in others if binding is not first)
    fresh = Binding(
        uri=wanted.text,
        flow=flow,
        q=wanted.q,
        expires_at=now + min(wanted.expires_s, limits.expires_s_max),
        call_id=request.call_id,
        cseq=request.cseq.number,
        instance=wanted.instance,
        path=path,
        agent=(request.headers.get("User-Agent") or "")[:AGENT_LENGTH_MAX],
    )
    return (*others, fresh)


def _check_order(binding: Binding, request: Request) -> None:
    """A request that was overtaken by a later one of the same phone changes nothing (section 10.3 steps 6 and 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _Aborted(Answer(500, "CSeq Out Of Order"))


def _listed(bindings: Bindings, now: float) -> Iterator[tuple[str, str]]:
    for binding in bindings:
        left = max(1, round(binding.expires_at - now))
        q = "" if binding.q == 1.0 else f";q={binding.q:g}"
        yield "Contact", f"<{binding.uri}>{q};expires={left}"
