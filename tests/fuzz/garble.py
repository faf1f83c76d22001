"""A message spoilt, as a bad network, a broken phone or an attacker would; the script says how."""

from __future__ import annotations

import re

ODD = b'\0\xff\x80 \r\n:;,<>"=@%-0019azSIP'
FIELDS = (b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Contact", b"Content-Length", b"Content-Type", b"Max-Forwards")
VALUES = (
    b"", b"0", b"-1", b"4294967296", b"99999999999999999999", b"*", b"<>", b"<sip:>", b"sip:[::1", b";tag=x", b"\"",
    b"<sip:a@b.test>;tag=", b"1 INVITE", b"1 BYE", b"2147483648 INVITE", b"<sip:a@b.test;lr>", b"\xc3\x28", b"a" * 300,
    b"SIP/2.0/UDP 203.0.113.5:5062;branch=z9hG4bKb1", b"SIP/2.0/UDP h;branch=", b"multipart/mixed;boundary=x", b"x/y",
    b"100rel", b"timer, replaces, foo", b"<tel:+1>", b"sips:a@b.test", b"z\r\n z", b"active", b"%00",
    b"90;refresher=uas",
)  # fmt: skip
MORE = (
    b"Require", b"Supported", b"Session-Expires", b"Min-SE", b"RSeq", b"RAck", b"Record-Route", b"Route", b"Replaces",
    b"Refer-To", b"Event", b"Subscription-State", b"Retry-After", b"Reason", b"Content-Encoding", b"Accept", b"Allow",
    b"WWW-Authenticate", b"Session-ID", b"Privacy", b"P-Asserted-Identity", b"Diversion", b"Expires", b"Date",
)  # fmt: skip


def spoilt(message: bytes, script) -> bytes:
    """The message, most often as it is."""
    how = script.byte()
    if how < 208:
        return message
    for _ in range(1 + how % 3):
        message = script.pick(WAYS)(message, script)
    return message


def _with_value(message, script):
    """Another value in one of the headers that count."""
    name, value = script.pick(FIELDS), script.pick(VALUES)
    return re.sub(rb"(?im)^" + name + rb"[ \t]*:[^\r\n]*", lambda _: name + b": " + value, message, count=1)


def _with_header(message, script):
    name, value = script.pick(FIELDS + MORE), script.pick(VALUES)
    line, found, rest = message.partition(b"\r\n")
    return line + b"\r\n" + name + b": " + value + found + rest


def _without_header(message, script):
    name = script.pick(FIELDS)
    return re.sub(rb"(?im)^" + name + rb"[ \t]*:[^\r\n]*\r\n", b"", message, count=1)


def _twice(message, script):
    name = script.pick(FIELDS)
    return re.sub(rb"(?im)^(" + name + rb"[ \t]*:[^\r\n]*\r\n)", rb"\1\1", message, count=1)


def _short(message, script):
    return message[: len(message) * script.byte() // 256]


def _flipped(message, script):
    at = _place(message, script)
    return message[:at] + bytes([message[at] ^ (1 << script.byte() % 8)]) + message[at + 1 :] if message else message


def _odd(message, script):
    at = _place(message, script)
    return message[:at] + bytes([script.pick(ODD)]) + message[at + script.byte() % 2 :]


def _lost(message, script):
    at = _place(message, script)
    return message[:at] + message[at + 1 + script.byte() % 16 :]


def _foreign(message, script):
    at = _place(message, script)
    return message[:at] + script.piece() + message[at:]


def _place(message, script):
    return (script.byte() * 256 + script.byte()) % max(1, len(message))


WAYS = (_with_value, _with_header, _without_header, _twice, _flipped, _odd, _lost, _short, _foreign)
