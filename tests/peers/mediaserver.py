"""A media server that no supervisor looks after: a test starts it, breaks it, and starts it again if it likes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.peers.ports import free_udp_port, rtp_ports
from tests.peers.site import MARK


class MediaServer:
    """One `mediaha serve --role media`; `start` may be called again once it has crashed."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        host: str = "127.0.0.1",
        ports: tuple[int, int] | None = None,
        datapath: str = "auto",
        media: str | None = None,
        inside: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        """It gets free ports of its own, unless told which.

        ``inside`` stands before the command line: ``ip netns exec NAME``, and ``options`` behind it. RTP is for
        ``media``, if not ``host``.
        """
        self.ng = f"{host}:{free_udp_port()}"
        first, last = ports or rtp_ports()
        self._log = folder / f"{name}.log"
        self._marked = {**os.environ, MARK: str(folder)}
        self._command = [*inside, sys.executable, "-m", "mediaha", "serve", "--role", "media", "--name", name]
        self._command += ["--listen-ng", self.ng, "--interface", media or host, "--ports", f"{first}-{last}"]
        self._command += ["--datapath", datapath, *options]
        self.start()

    def start(self) -> None:
        """Run it; whoever needs it waits until its ng port answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._marked
            )

    def end(self) -> None:
        """SIGTERM, and it goes when it has no calls; a second one, and it goes now."""
        while self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def crash(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)

    def hang(self) -> None:
        """It stands still, and its ports stay bound."""
        self._process.send_signal(signal.SIGSTOP)
        # One of its threads takes the signal, and only then the others stop.
        while not all(_stands_still(thread) for thread in Path(f"/proc/{self._process.pid}/task").iterdir()):
            time.sleep(0.001)

    def resume(self) -> None:
        """It goes on where it stood."""
        self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def slowed(self, share: float) -> Iterator[None]:
        """It gets no more than this share of a core: it stands still as long as it has had more than that."""
        over = threading.Event()
        governor = threading.Thread(target=self._govern, args=(share, over))
        governor.start()
        try:
            yield
        finally:
            over.set()
            governor.join()
            self.resume()

    def _govern(self, share: float, over: threading.Event) -> None:
        began, had_s = time.monotonic(), self._cpu_s()
        while not over.wait(0.001):
            owed = self._cpu_s() - had_s > share * (time.monotonic() - began)
            self._process.send_signal(signal.SIGSTOP if owed else signal.SIGCONT)

    def _cpu_s(self) -> float:
        """What all its threads have had of a core so far."""
        used_ns = 0
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                used_ns += int((thread / "schedstat").read_text().split()[0])
        return used_ns / 1e9

    def open_files(self) -> int:
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def __enter__(self) -> MediaServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()


def _stands_still(thread: Path) -> bool:
    with contextlib.suppress(OSError):
        return (thread / "stat").read_text().rpartition(") ")[2].startswith("T")
    return True
