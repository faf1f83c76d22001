"""Messages as they go over the wire, from text as RFCs print it."""

from __future__ import annotations

INVITE_SDP = """\
v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.3
s=-
c=IN IP4 192.0.2.4
t=0 0
m=audio 49217 RTP/AVP 0 12
m=video 3227 RTP/AVP 31
a=rtpmap:31 LPC
"""


def message(head: str, body: str | bytes = b"", *, length: int | None = None) -> bytes:
    """Lines as on the wire. ``{length}`` in the head becomes the length of the body, or what is said."""
    data = body if isinstance(body, bytes) else body.replace("\n", "\r\n").encode()
    written = head.strip("\n").replace("{length}", str(len(data) if length is None else length))
    return written.replace("\n", "\r\n").encode() + b"\r\n\r\n" + data
