"""A target sends the call on (3xx): we follow, where the site file says so, to places that are the site's own.

3xx ─▶ FindWays ─▶ WaysFound ─▶ the targets found come next
                      └─▶ none that has not been tried: the 3xx goes to the caller
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets.call import Branch, Ringing, Trying
from mediaha.nets.destination import Destination
from mediaha.nets.events import FindWays
from mediaha.nets.turn import Turn
from mediaha.sip.errors import Malformed
from mediaha.sip.fields import NameAddr, name_addrs_untrusted
from mediaha.sip.message import Response

CONTACTS_MAX = 4
"""Places of one 3xx that are looked at, the best first."""


def is_followed(turn: Turn, branch: Branch, response: Response) -> bool:
    """Whether a refusal is a 3xx that we look into ourselves; WaysFound tells what comes of it."""
    target = turn.call.targets[branch.target]
    if not (target.follows and 300 <= response.status < 400):
        return False
    contacts = _contacts_untrusted(response)
    if not contacts or turn.call.redirects >= turn.rules.limits.redirects_max:
        return False
    turn.note("sent on", target=str(target), status=response.status, to=[f"{user}@{host}" for user, host in contacts])
    turn.call = replace(turn.call, redirects=turn.call.redirects + 1)
    turn.effects.append(FindWays(branch.ref, response, contacts, target))
    return True


def follow(turn: Turn, targets: tuple[Destination, ...]) -> bool:
    """Put these targets next. False: all of them have had the call already."""
    phase, call = turn.call.phase, turn.call
    assert isinstance(phase, Trying | Ringing)
    user = phase.invite.user
    tried = {(one.target, one.uri_of(user)) for one in call.targets[: phase.past]}
    fresh = tuple(one for one in targets if (one.target, one.uri_of(user)) not in tried)
    turn.call = replace(call, targets=(*call.targets[: phase.past], *fresh, *call.targets[phase.past :]))
    return bool(fresh)


def _contacts_untrusted(response: Response) -> tuple[tuple[str, str], ...]:
    """User and host of each place, by falling q; what cannot be read or called is left out."""
    try:
        contacts = name_addrs_untrusted(response.headers.all("Contact"))
    except Malformed:
        return ()
    found = []
    for contact in sorted(contacts, key=_q, reverse=True):
        try:
            uri = contact.parsed_uri()
        except Malformed:
            continue
        if uri.scheme == "sip":
            found.append((uri.user or "", uri.host))
    return tuple(found[:CONTACTS_MAX])


def _q(contact: NameAddr) -> float:
    try:
        return min(1.0, max(0.0, float(contact.parameter("q") or 1)))
    except ValueError:
        return 0.0
