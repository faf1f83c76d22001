"""``mediaha trace``: the messages of a call as they come and go, in the terminal and as a capture file."""

from __future__ import annotations

from pathlib import Path

from mediaha.cli.look import AsJson, Control


def trace(
    call: str,
    /,
    *,
    pcap: Path | None = None,
    seconds: float = 600.0,
    control: Control = None,
    json: AsJson = False,
) -> int:
    """Show the SIP messages of one call, of both its legs, as they come and go.

    It ends with the call, with Ctrl-C, or when the time is up. Nothing is kept of messages that came before. What came
    over TLS is shown as it was meant.

    Examples:

    * mediaha trace 1-4242@192.0.2.7

    * mediaha trace 4711 --pcap call.pcap

    Parameters
    ----------
    call
        The Call-ID of either leg, or NeTS's own name of the call. What is no call's name is waited for: a call whose
        messages mention it, such as a number, is shown from its first message on.
    pcap
        Also write a capture file, for Wireshark and sngrep.
    seconds
        How long at most; an hour is the longest.
    control
        The control socket of the mediaha to ask. Default: where `mediaha serve` puts it.
    json
        One JSON object a message, for scripts.
    """
    from mediaha.cli.following import follow

    return follow(call, pcap=pcap, seconds=seconds, control=control, json=json)
