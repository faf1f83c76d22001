"""Calls through one media server that a test controls itself, without NeTS."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable

import pytest

from mediaha.load import Load
from tests.peers.mediaserver import MediaServer

PATIENCE_S = 30.0


def until(what: str, holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.05)


class Client:
    """Of one ng port."""

    def __init__(self, ng: str) -> None:
        host, port = ng.rsplit(":", 1)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.connect((host, int(port)))
        self._cookie = 0

    def ask(self, **request: str) -> dict | None:
        """What the server replies; None when it does not."""
        self._cookie += 1
        self._sock.settimeout(1.0)
        try:
            self._sock.send(f"{self._cookie} {json.dumps(request)}".encode())
            cookie = b""
            while cookie != b"%d" % self._cookie:  # it may be a late reply to an earlier request
                cookie, _, reply = self._sock.recv(65535).partition(b" ")
            return json.loads(reply)
        except OSError:
            return None


def answers(server: MediaServer, client: Client) -> None:
    """Wait until it does; the test is skipped if it cannot have its datapath here."""
    until("it answers, or says why not", lambda: client.ask(command="ping") or "cannot be had" in server.log())
    if "cannot be had" in server.log():
        pytest.skip(server.log())


def sdp(family: str, listens: str) -> str:
    """Of a party that listens there, by G.711."""
    host, port = listens.rsplit(":", 1)
    host = host.strip("[]")
    return f"v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


def audio(sdp: str) -> str:
    """Where an SDP says that audio is to be sent."""
    host = re.search(r"c=IN IP. (\S+)", sdp)[1]
    port = re.search(r"m=audio (\d+)", sdp)[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def two_that_talk(load: Load, client: Client, family: str, host: str, call_id: str = "call", *flags: str):
    """A call; gives where each party sends to, and both parties as ``load`` knows them: endpoint and address.

    ``flags`` are those of its offer and answer.
    """
    parties = [load.open(host), load.open(host)]
    load.pair(parties[0][0], parties[1][0])
    call = {"call-id": call_id, "from-tag": "1", "flags": flags}
    for_callee = client.ask(command="offer", sdp=sdp(family, parties[0][1]), **call)["sdp"]
    for_caller = client.ask(command="answer", sdp=sdp(family, parties[1][1]), **{**call, "to-tag": "2"})["sdp"]
    aims = [audio(for_caller), audio(for_callee)]
    for (endpoint, _), aim in zip(parties, aims, strict=True):
        load.aim(endpoint, aim)
        load.start(endpoint)
    return aims, parties
