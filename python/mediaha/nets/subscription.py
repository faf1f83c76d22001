"""What a referrer is told of the transfer it has asked for: NOTIFY with a status line (RFC 3515, RFC 6665).

REFER ─▶ 202 ─▶ NOTIFY 100 ─▶ NOTIFY of what is new, one at a time ─▶ NOTIFY of the end, terminated
                    └─▶ refused, or no response: it is not told any more
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets.referral import sipfrag
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Open, Purpose, Transfer
from mediaha.sip.message import Response

SIPFRAG = "message/sipfrag;version=2.0"


def progress(turn: Turn, status: int, reason: str) -> None:
    """Something has become of the transfer."""
    transfer = turn.call.transfer
    if transfer is not None and transfer.pending:
        turn.transfer(replace(transfer, status=status, reason=reason))
        notify(turn)


def notify(turn: Turn) -> None:
    """Tell what is new, unless the last NOTIFY has not been answered yet."""
    transfer = turn.call.transfer
    if transfer is None or not transfer.event or transfer.ref or transfer.told == transfer.status:
        return
    headers = (
        turn.contact(transfer.by),
        ("Event", transfer.event),
        ("Subscription-State", _state(transfer, turn.now)),
    )
    ref = turn.send(
        transfer.by,
        "NOTIFY",
        Purpose.NOTIFY,
        headers=headers,
        body=sipfrag(transfer.status, transfer.reason),
        content_type=SIPFRAG,
        until=turn.now + turn.rules.limits.notify_s_max,
    )
    turn.transfer(replace(transfer, told=transfer.status, ref=ref))


def responded(turn: Turn, item: Open, response: Response) -> None:
    """The referrer's final response to a NOTIFY. A refusal ends the subscription, not the call (RFC 6665, 4.2.2)."""
    turn.close(item.ref)
    _heard(turn, item, listens=response.status < 300)


def unanswered(turn: Turn, item: Open) -> None:
    """No response in time: the referrer does not listen."""
    turn.close(item.ref)
    _heard(turn, item, listens=False)


def _heard(turn: Turn, item: Open, *, listens: bool) -> None:
    transfer = turn.call.transfer
    if transfer is None or transfer.ref != item.ref:
        return
    turn.transfer(replace(transfer, ref=0, event=transfer.event if listens else ""))
    notify(turn)


def _state(transfer: Transfer, now: float) -> str:
    if not transfer.pending:
        return "terminated;reason=noresource"
    return f"active;expires={max(1, round(transfer.until - now))}"
