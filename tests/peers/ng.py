"""Both ends of an ng port: who asks a media server, and things that are no good one.

One of these never answers, and one answers as it is told.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading


def ask_ng(address: str, **request: str) -> dict:
    """What a media server answers to one request; keys with a hyphen are written with an underscore."""
    host, port = address.rsplit(":", 1)
    body = json.dumps({key.replace("_", "-"): value for key, value in request.items()})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(f"asked {body}".encode(), (host, int(port)))
        return json.loads(sock.recv(65535).partition(b" ")[2])


class NgClient:
    """Asks one media server, and asks again like any client while it is silent."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.connect((host, int(port)))
        self._sock.settimeout(1.0)
        self._asked = 0

    def ask(self, **request: object) -> dict:
        """What it answers. AssertionError when that takes a minute."""
        self._asked += 1
        cookie = str(self._asked).encode()
        for _ in range(60):
            with contextlib.suppress(OSError):  # late, or the port is closed
                self._sock.send(cookie + b" " + json.dumps(request).encode())
                while True:
                    said, _, body = self._sock.recv(65535).partition(b" ")
                    if said == cookie:
                        return json.loads(body)
        raise AssertionError(f"no answer to {request}")

    def is_answered(self) -> bool:
        """Whether a ping is, at once."""
        with contextlib.suppress(OSError):
            self._sock.send(b"0 " + json.dumps({"command": "ping"}).encode())
            return self._sock.recv(65535).startswith(b"0 ")
        return False

    def close(self) -> None:
        """Ask no more."""
        self._sock.close()


class BlackHole:
    """A bound port that nobody reads: what is sent to it is neither answered nor refused."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        host, port = self._sock.getsockname()
        self.address = f"{host}:{port}"

    def __enter__(self) -> BlackHole:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()


class Grumbler:
    """It answers each ping with a pong, and everything else with the same reply: the bytes after the cookie."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        host, port = self._sock.getsockname()
        self.address = f"{host}:{port}"
        self.asked: list[str] = []
        """The commands it got, pings left out."""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                datagram, source = self._sock.recvfrom(65535)
                cookie, _, body = datagram.partition(b" ")
                if not cookie:
                    return
                command = _command(body)
                if command != "ping":
                    self.asked.append(command)
                reply = b"d6:result4:ponge" if command == "ping" else self._reply
                self._sock.sendto(cookie + b" " + reply, source)

    def __enter__(self) -> Grumbler:
        return self

    def __exit__(self, *_: object) -> None:
        host, port = self._sock.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (host, port))
        self._thread.join(5)
        self._sock.close()


def _command(body: bytes) -> str:
    """The command of a bencoded request."""
    found = re.search(rb"7:command(\d+):", body)
    return body[found.end() : found.end() + int(found[1])].decode() if found else ""
