"""A real rtpengine as a media server, without its kernel module: a process that a test can kill."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mediaha.model.address import Address
from mediaha.model.site import MediaServerSpec
from tests.peers.ports import free_udp_port, rtp_ports


def missing() -> str | None:
    """Why there is none, for a skip; None when there is one."""
    return None if shutil.which("rtpengine") else "rtpengine is missing: apt-get install rtpengine-daemon"


class Rtpengine:
    """One running rtpengine."""

    def __init__(
        self,
        name: str,
        folder: Path,
        ports: tuple[int, int] | None = None,
        *,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
        interfaces: Sequence[str] = (),
    ) -> None:
        """It gets free ports of its own, unless told which.

        ``inside`` stands before the command line: ``ip netns exec NAME``. RTP is for ``interfaces`` or ``host``.
        """
        ports = ports or rtp_ports()
        self.spec = MediaServerSpec(name, "here", Address(host, free_udp_port()), ports=ports, managed=False)
        self._log_path = folder / f"{name}.log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *inside,
                    "rtpengine",
                    "--foreground",
                    "--log-stderr",
                    "--table=-1",
                    *(f"--interface={address}" for address in interfaces or (host,)),
                    f"--listen-ng={self.spec.ng}",
                    f"--port-min={ports[0]}",
                    f"--port-max={ports[1]}",
                    f"--pidfile={folder / name}.pid",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def crash(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)

    def hang(self) -> None:
        """It stands still, and its ports stay bound."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it stood."""
        self._process.send_signal(signal.SIGCONT)

    def forget(self, call_id: str) -> None:
        """Delete a call behind everybody's back."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(self.spec.ng)
            request = {"command": "delete", "call-id": call_id, "delete-delay": 0, "flags": ["fatal"]}
            client.send(b"forget_1 " + json.dumps(request).encode())
            assert b'"ok"' in client.recv(65535)

    def log(self) -> str:
        """What it has written."""
        return self._log_path.read_text(errors="replace")

    def __enter__(self) -> Rtpengine:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
