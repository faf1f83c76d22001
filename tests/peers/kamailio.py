"""A real Kamailio, with a configuration that the test gives it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HEAD = """\
debug=2
log_stderror=yes
children=1
tcp_children=1
disable_core_dump=yes
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
"""


def missing() -> str | None:
    """Why there is none, for a skip; None when there is one."""
    return None if shutil.which("kamailio") else "kamailio is missing: apt-get install kamailio"


class Kamailio:
    """One running Kamailio, all of its processes; it is ready when the block begins, and gone when it ends."""

    def __init__(
        self,
        text: str,
        folder: Path,
        port: int,
        name: str = "kamailio",
        memory_mb: int = 32,
        *,
        host: str = "127.0.0.1",
        before: tuple[str, ...] = (),
    ) -> None:
        """``port`` and ``host``: where it is asked, over UDP, whether it is there. ``before`` goes first,
        ``memory_mb`` is what it may use.
        """
        self.port = port
        self.host = host
        self._folder = folder / name
        self._folder.mkdir()
        (self._folder / "kamailio.cfg").write_text(text)
        self._log = self._folder / "log"
        command = [
            *before,
            "kamailio",
            "-f",
            "kamailio.cfg",
            "-DD",
            "-E",
            "-m",
            str(memory_mb),
            "-M",
            "4",
            "-Y",
            str(self._folder),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder,
                start_new_session=True,
            )  # fmt: skip

    def pids(self) -> list[int]:
        """All of its processes."""
        everybody = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
        return [pid for pid in everybody if _group(pid) == self._process.pid]

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def ask(self, *words: str) -> str:
        """What its kamcmd gives, for a configuration with the ctl module."""
        command = ["kamcmd", "-s", f"unix:{self._folder}/ctl", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout

    def __enter__(self) -> Kamailio:
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, f"kamailio ended\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"kamailio does not answer\n{self.log()[-4000:]}"
        return self

    def __exit__(self, *_: object) -> None:
        # Its processes are killed together: those that are left over would keep the ports.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect((self.host, self.port))
            own = f"{sock.getsockname()[0]}:{sock.getsockname()[1]}"
            text = (
                f"OPTIONS sip:{self.host}:{self.port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{time.monotonic_ns()}\r\n"
                f"Max-Forwards: 0\r\nFrom: <sip:probe@{own}>;tag=1\r\nTo: <sip:{self.host}:{self.port}>\r\n"
                f"Call-ID: {time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            try:
                sock.send(text.encode())
                return bool(sock.recv(4096))
            except OSError:
                time.sleep(0.1)
                return False


def _group(pid: int) -> int | None:
    """The process group of a process; None: it has ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None
