"""Which ways a request inside a dialog may take, the best first. Decides; the carrier tries one after the other.

    the connection that the party has opened, while it is there: it leads through a NAT or firewall; and where a
       phone has registered from, by whatever transport
    ─▶ the dialog's route or the party's Contact, over the transport that it names
    ─▶ where the party was met first, when those are names: it is there that the name has led

A Contact that names no transport means UDP (RFC 3263 section 4.1). Many who were met over TCP forget to say so: for
them it is TCP first. What was met over TLS is never asked in the clear.
"""

from __future__ import annotations

from mediaha.sip.dialog import Dialog
from mediaha.sip.resolve.locate import literal_target
from mediaha.sip.target import STREAMS, TLS, UDP, Target
from mediaha.sip.uri import Uri


def ways(
    dialog: Dialog, met: Target | None, flow: Target | None = None, *, by_flow: bool = False
) -> tuple[Target, ...]:
    """At least one.

    ``met`` is where the party was met first (``by_flow``: where it has registered from), ``flow`` the connection on
    which it was heard last.
    """
    found: list[Target] = []
    open_ = flow or met
    if open_ is not None and open_.transport in STREAMS and open_.connection:
        found.append(open_)
    if met is not None and by_flow:
        found.append(met)
    uri = dialog.next_uri()
    named = literal_target(uri)
    if named is not None:
        found += _by_contact(uri, named, met)
    elif met is not None:
        found.append(met)
    else:
        # There is no dialog that began nowhere; a name that is not resolved is unreachable.
        found.append(Target(UDP, dialog.next_hop()))
    return tuple(dict.fromkeys(found))


def _by_contact(uri: Uri, named: Target, met: Target | None) -> list[Target]:
    if met is None or met.transport not in STREAMS:
        return [named]
    if uri.transport() is not None:
        return [_like(named, met)]
    same = _like(named._replace(transport=met.transport), met)
    return [same] if met.transport == TLS else [same, named]


def _like(target: Target, met: Target) -> Target:
    """A way over TLS as the party was met: the address in its Contact says nothing of its certificate's name."""
    if target.transport != TLS:
        return target
    return target._replace(server_name=met.server_name or target.address.host)
