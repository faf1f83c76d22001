"""A request of ours was answered with the question who we are: it is sent once more, with credentials.

For the rest of the decisions nothing has happened: it is the same request, under the same number. Only its CSeq is
the next one of its dialog (RFC 3261 section 22.2), and an INVITE to a target has time for a try again.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets.call import Ringing, Trying
from mediaha.nets.events import Challenged, Send, Tried
from mediaha.nets.inviting import branch_of, patience
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Open, Party, Purpose
from mediaha.sip.dialog import Dialog
from mediaha.sip.message import Request


def answer(turn: Turn, item: Open, event: Challenged) -> None:
    """Send it again."""
    sent, request = event.sent, event.proved
    turn.note("challenged", party=str(item.party), method=request.method, status=event.response.status)
    if item.purpose is Purpose.SETUP:
        _target_has_answered(turn, item)
    elif (dialog := _dialog(turn, item.party, request)) is not None:
        dialog, request = dialog.renumbered(request)
        turn.keep(item.party, dialog)
    turn.effects.append(Send(sent.ref, request, sent.target, sent.otherwise))


def _target_has_answered(turn: Turn, item: Open) -> None:
    phase = turn.call.phase
    assert isinstance(phase, Trying | Ringing)
    target = turn.call.targets[branch_of(turn, item).target]
    if isinstance(phase, Trying) and not phase.heard:
        turn.effects.append(Tried(target))
        if phase.past < len(turn.call.targets):
            turn.become(replace(phase, until=turn.now + patience(turn.rules.limits, target)))


def _dialog(turn: Turn, party: Party, request: Request) -> Dialog | None:
    """The dialog that the request is in; None: it has ended, or been given up."""
    phase, dialog = turn.call.phase, turn.leg(party).dialog
    if dialog is None and isinstance(phase, Ringing):
        dialog = next((fork.dialog for fork in phase.forks if fork.dialog.remote_tag == request.to_tag), None)
    return dialog
