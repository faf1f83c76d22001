"""A client of the ng protocol: one question at a time for setting up, and prepared datagrams for measuring."""

from __future__ import annotations

import itertools
import re
import secrets
import socket
from collections.abc import Mapping

from mediaha.model.address import Address

ANSWER_S_MAX = 2.0
TRIES = 3
AUDIO = re.compile(rb"^m=audio (\d+) ", re.M)
CONNECTION = re.compile(rb"^c=IN IP[46] (\S+)", re.M)

Value = str | bytes | int | Mapping[str, "Value"] | list["Value"]


class NgFailed(Exception):
    """A media server did not answer, or not with what was asked for."""


class NgClient:
    """Asks one media server, and waits."""

    def __init__(self, server: Address) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(ANSWER_S_MAX)
        self._socket.connect(server)
        # rtpengine answers a cookie that it has seen from anybody with what it said then.
        self._name = secrets.token_hex(4).encode()
        self._numbers = itertools.count()

    def ask(self, **request: Value) -> dict[bytes, object]:
        """The reply's dictionary, as it is. Raises NgFailed."""
        cookie = b"%b-%d" % (self._name, next(self._numbers))
        datagram = cookie + b" " + bencode(request)
        for _ in range(TRIES):
            try:
                self._socket.send(datagram)
                while not (reply := self._socket.recv(65535)).startswith(cookie + b" "):
                    continue
            except (TimeoutError, ConnectionRefusedError):
                continue
            return bdecode_dictionary(reply[len(cookie) + 1 :])
        raise NgFailed(f"no answer to {request.get('command')}")

    def sdp(self, **request: Value) -> bytes:
        """The SDP that an offer or an answer gives. Raises NgFailed."""
        reply = self.ask(**request)
        sdp = reply.get(b"sdp")
        if not isinstance(sdp, bytes):
            raise NgFailed(f"{request.get('command')} gave {reply}")
        return sdp

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def offer(call: str, sdp: bytes) -> dict[str, Value]:
    """The first half of a set-up."""
    return {"command": "offer", "call-id": call, "from-tag": "a", "sdp": sdp}


def answer(call: str, sdp: bytes) -> dict[str, Value]:
    """The second half."""
    return {"command": "answer", "call-id": call, "from-tag": "a", "to-tag": "b", "sdp": sdp}


def adopt(call: str, offered: bytes, answered: bytes) -> dict[str, Value]:
    """Both halves at once, for a server that announces it."""
    return {**offer(call, offered), "command": "adopt", "to-tag": "b", "answer sdp": answered}


def delete(call: str) -> dict[str, Value]:
    """The end, without the delay in which rtpengine otherwise keeps ended calls."""
    return {"command": "delete", "call-id": call, "from-tag": "a", "delete-delay": 0}


def audio_sdp(host: str, port: int) -> bytes:
    """What a phone offers."""
    return (
        f"v=0\r\no=bench {port} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    ).encode()


def audio_address(sdp: bytes) -> str:
    """Where an SDP wants the audio. Raises NgFailed."""
    port, host = AUDIO.search(sdp), CONNECTION.search(sdp)
    if port is None or host is None:
        raise NgFailed(f"no audio in {sdp!r}")
    return f"{host[1].decode()}:{port[1].decode()}"


def bencode(value: Value) -> bytes:
    """The encoding that ng's clients use."""
    match value:
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%b" % (len(value), value)
        case str():
            return bencode(value.encode())
        case list():
            return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in value.items()) + b"e"


def bdecode_dictionary(encoded: bytes) -> dict[bytes, object]:
    """Read what a media server of ours or rtpengine has encoded. Raises NgFailed."""
    value, _ = _bdecode(encoded, 0)
    if not isinstance(value, dict):
        raise NgFailed(f"no dictionary: {encoded!r}")
    return value


def _bdecode(encoded: bytes, at: int) -> tuple[object, int]:
    kind = encoded[at : at + 1]
    if kind == b"i":
        end = encoded.index(b"e", at)
        return int(encoded[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while encoded[at : at + 1] != b"e":
            item, at = _bdecode(encoded, at)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2], strict=True))), at + 1
    colon = encoded.index(b":", at)
    end = colon + 1 + int(encoded[at:colon])
    return encoded[colon + 1 : end], end
