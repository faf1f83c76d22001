"""Whether a request is taken at all: method, extensions, hops, loops, domain, load (RFC 3261 section 8.2).

Each check that fails says what to answer. A response to a stranger says no more than it must.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mediaha.model.media import ServerCondition, ServerView
from mediaha.model.site import Domain
from mediaha.nets.call import Call, Placing, Ringing, Trying
from mediaha.nets.compose import sdp_of
from mediaha.nets.expiry import asked_untrusted, is_too_small
from mediaha.nets.headers import ACCEPT, ALLOW, Pairs
from mediaha.nets.rules import ALLOWED, KNOWN_ELSEWHERE, SUPPORTED, Limits
from mediaha.nets.underway import Party
from mediaha.sip.fields import split_commas
from mediaha.sip.message import Request
from mediaha.sip.sdp import is_sdp

SPIRAL_MAX = 32
"""So many calls of one session may be set up at once: a call manager may ring a whole group through us."""
TAKES_CALLS = frozenset({ServerCondition.USABLE, ServerCondition.SUSPECT})
"""A suspect server is asked last, but it is asked."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a request gets that is not taken."""

    status: int
    reason: str | None = None
    headers: Pairs = ()


def screen(request: Request, *, by_tls: bool = False) -> Refusal | None:
    """What is asked of every request, inside a dialog or not: a method, a kind of URI and extensions that we know.

    A ``sips`` URI asks for TLS on the whole way (section 26.2.2): what has not come ``by_tls`` has lost that already.
    Raises Malformed: answer 400.
    """
    method = request.method
    if method not in ALLOWED:
        return Refusal(405 if method in KNOWN_ELSEWHERE else 501, headers=(ALLOW,))
    if request.request_uri.scheme not in ({"sip", "sips"} if by_tls else {"sip"}):
        return Refusal(416)
    required = [option for value in request.headers.all("Require") for option in split_commas(value)]
    unknown = [option for option in required if option.lower() not in SUPPORTED]
    if unknown:
        return Refusal(420, headers=(("Unsupported", ", ".join(unknown)),))
    return None


def screen_invite(request: Request, limits: Limits) -> Refusal | None:
    """What is asked of an INVITE that would make a call, before it is known whether we can take one."""
    if request.max_forwards < 1:
        return Refusal(483)
    if request.request_uri.headers:
        # They belong into links, where they say what the request should hold (section 19.1.1).
        return Refusal(400, "Headers in Request-URI")
    if "Content-Encoding" in request.headers and request.headers.get("Content-Encoding") != "identity":
        return Refusal(415, headers=(ACCEPT, ("Accept-Encoding", "identity")))
    offer = sdp_of(request)
    if request.body and not offer:
        return Refusal(415, headers=(ACCEPT,))
    if request.body and not is_sdp(offer):
        return Refusal(488, "Unusable SDP")
    if not _takes_sdp(request):
        return Refusal(406, headers=(ACCEPT,))
    if is_too_small(asked_untrusted(request), limits.session_s_min):
        return Refusal(422, headers=(("Min-SE", str(limits.session_s_min)),))
    return None


def _takes_sdp(request: Request) -> bool:
    """Whether the caller would understand the only bodies that we answer with (section 8.2.3)."""
    accepted = [one for value in request.headers.all("Accept") for one in split_commas(value)]
    kinds = {one.partition(";")[0].strip().lower() for one in accepted}
    return "Accept" not in request.headers or not kinds.isdisjoint({"application/sdp", "application/*", "*/*"})


def unavailable(limits: Limits, why: str) -> Refusal:
    """We cannot take a call now; whoever asked should go elsewhere (N2)."""
    return Refusal(503, why, (("Retry-After", str(limits.retry_after_s)),))


def busy(limits: Limits, *, draining: bool, calls: int, behind_s: float = 0.0) -> Refusal | None:
    """Whether we take any call at all. ``behind_s``: for how long more messages have been coming than we read.

    Then calls are refused before they cost anything; what belongs to calls that are there is still served.
    """
    if draining:
        return unavailable(limits, "Draining")
    if calls >= limits.calls_max:
        return unavailable(limits, "Too Many Calls")
    if behind_s > limits.behind_s_max:
        return unavailable(limits, "Overloaded")
    return None


def without_media(limits: Limits, servers: Sequence[ServerView], domain: Domain | None) -> Refusal | None:
    """Whether no media server could take a call (of this domain). An empty view says nothing yet."""
    views = [view for view in servers if domain is None or view.name in domain.media]
    if any(view.condition in TAKES_CALLS for view in views):
        return None
    return unavailable(limits, "No Media Server")


def goes_in_circles(request: Request, domain: str, calls: Iterable[Call]) -> bool:
    """Whether an INVITE is one of a session that we are just setting up, and goes where that goes.

    Two NeTS that name each other as targets would send a call to and fro until Max-Forwards ends it, each time with
    media of its own. ``calls`` are those of the request's session. To somebody else it is a spiral, up to a limit.
    """
    setting_up = [call for call in calls if isinstance(call.phase, Placing | Trying | Ringing)]
    wanted = domain, request.request_uri.user or ""
    return len(setting_up) >= SPIRAL_MAX or any((call.domain, _user(call)) == wanted for call in setting_up)


def _user(call: Call) -> str:
    return call.phase.invite.user if isinstance(call.phase, Placing | Trying | Ringing) else ""


def came_back(request: Request, party: Party, call: Call) -> bool:
    """Whether an INVITE is our own, sent back to us unchanged: a loop (section 16.3).

    With another Request-URI it is a spiral: somebody has sent the call on, which is their right.
    """
    phase = call.phase
    if party is not Party.CALLEE or not isinstance(phase, Trying | Ringing):
        return False
    targets = (call.targets[branch.target] for branch in phase.branches)
    return any(request.uri == target.uri_of(phase.invite.user, secure=phase.invite.secure) for target in targets)
