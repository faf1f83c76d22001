"""TLS around a peer that has none (Debian's SIPp): TCP at one end, TLS at the other, bytes go through as they are.

The connection towards the callee outlives the one that came: SIPp answers a call only where the call has come from.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

CHUNK = 1 << 16

Dress = Callable[[socket.socket], socket.socket]


class Tunnel:
    """Listens on a port of loopback; what comes there goes on to the other side."""

    def __init__(self, towards: tuple[str, int], *, near: Dress, far: Dress) -> None:
        """``near`` is what is made of a connection that comes, ``far`` of the one to ``towards``."""
        self._towards = towards
        self._near, self._far = near, far
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.1)
        self.port: int = self._listening.getsockname()[1]
        self._came: socket.socket | None = None
        """The youngest connection that came."""
        self._onward: socket.socket | None = None
        self._over = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @classmethod
    def into_tls(cls, towards: tuple[str, int], authority: str) -> Tunnel:
        """For a caller: TCP comes, TLS goes; the other end must have a certificate of the authority."""
        context = ssl.create_default_context(cafile=authority)

        def far(sock: socket.socket) -> socket.socket:
            return context.wrap_socket(sock, server_hostname=towards[0])

        return cls(towards, near=lambda sock: sock, far=far)

    @classmethod
    def out_of_tls(cls, towards: tuple[str, int], certificate: str, key: str) -> Tunnel:
        """For a callee: TLS comes, TCP goes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return cls(towards, near=lambda sock: context.wrap_socket(sock, server_side=True), far=lambda sock: sock)

    def cut(self) -> None:
        """The connection that came breaks."""
        _shut(self._came)

    def _accept(self) -> None:
        while not self._over:
            with contextlib.suppress(TimeoutError):
                sock, _ = self._listening.accept()
                sock.settimeout(None)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), self._near(sock) as came:
            with self._lock:
                self._came = came
                if self._onward is None:
                    self._onward = self._far(socket.create_connection(self._towards, timeout=10))
                    self._onward.settimeout(None)
                    threading.Thread(target=self._bring_back, args=(self._onward,), daemon=True).start()
                onward = self._onward
            while data := came.recv(CHUNK):
                onward.sendall(data)

    def _bring_back(self, onward: socket.socket) -> None:
        with onward, contextlib.suppress(OSError):
            while data := onward.recv(CHUNK):
                with contextlib.suppress(OSError):
                    if self._came is not None:
                        self._came.sendall(data)
        # The other side has gone: whoever came hears of it, and the next one finds it anew.
        self._onward = None
        _shut(self._came)

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        _shut(self._came)
        _shut(self._onward)
        self._thread.join()
        self._listening.close()


def _shut(sock: socket.socket | None) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
