"""A mediaha site as a user starts it, `python -m mediaha serve`, and asked through its own command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mediaha.ops.asking import NotServing, ask
from tests.peers.ports import free_udp_port, standalone_ports

MARK = "MEDIAHA_SITE_OF_TEST"
"""In the environment of a site's processes, so that one that is left over is found."""


class Site:
    """One running `mediaha serve`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        target: str | None = None,
        standalone: bool = True,
        log_to: int | None = None,
        inside: Sequence[str] = (),
    ) -> None:
        """``inside`` stands before the command line: ``nsenter --net=...``."""
        self.folder = folder
        self.host = self.target_host = "127.0.0.1"
        self.control = folder / "control.sock"
        self.port = free_udp_port()
        self.target_port = free_udp_port()
        command = [*inside, sys.executable, "-m", "mediaha", "serve"]
        command += ["--control", str(self.control), "--log-format", "json"]
        if standalone:
            ng = free_udp_port()
            while free_udp_port() != ng + 1:  # the second media server's control port follows the first's
                ng = free_udp_port()
            target = target or f"127.0.0.1:{self.target_port}"
            command += ["--listen", f"127.0.0.1:{self.port}", "--target", target, "--ng-port", str(ng)]
            command += ["--ports", "{}-{}".format(*standalone_ports())]
        command += arguments
        self._log = (folder / "site.log").open("wb")
        errors = self._log if log_to is None else log_to
        marked = {**os.environ, MARK: str(folder)}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=errors, env=marked)

    @property
    def address(self) -> str:
        """Where NeTS takes calls."""
        return f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """Where its calls go."""
        return f"{self.target_host}:{self.target_port}"

    def log(self) -> str:
        """What it printed and logged."""
        return (self.folder / "site.log").read_text(errors="replace")

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another mediaha command against it, as a person would."""
        command = [sys.executable, "-m", "mediaha", *words, "--control", str(self.control)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def status(self) -> dict:
        """What `mediaha status --json` shows, asked directly: a test asks often."""
        return ask("status", self.control)

    def explain(self, call_id: str) -> dict:
        """What `mediaha explain CALL-ID --json` shows."""
        return ask("explain", self.control, call_id=call_id)

    def server(self, name: str) -> dict:
        """What `status` says of one media server."""
        return next(server for server in self.status()["servers"] if server["name"] == name)

    def names(self) -> list[str]:
        """The media servers in the order of the list."""
        return [server["name"] for server in self.status()["servers"]]

    def calls(self) -> int:
        """How many calls NeTS has."""
        return sum(nets["calls"] for nets in self.status()["nets"])

    def wait_until(self, true, what: str, timeout: float = 20):
        """Ask again and again until `true(status)` is; gives the status."""
        deadline = time.monotonic() + timeout
        while True:
            assert self.process.poll() is None, f"the site ended:\n{self.log()[-4000:]}"
            try:
                status = self.status()
            except NotServing as error:
                status = {"nets": [], "servers": [], "error": str(error)}
            if true(status):
                return status
            told = f"{json.dumps(status, indent=1)}\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{told}"
            time.sleep(0.05)

    def ready(self, *names: str) -> Site:
        """Wait until the media servers of these names are usable; all of them without a name."""
        self.wait_until(
            lambda status: (
                status["servers"]
                and all(
                    server["state"] == "usable" for server in status["servers"] if not names or server["name"] in names
                )
            ),
            f"usable: {', '.join(names) or 'every media server'}",
            40,
        )
        return self

    def settled(self) -> None:
        """Wait until no call is left anywhere: neither in NeTS nor on a media server."""
        self.wait_until(
            lambda status: (
                sum(nets["calls"] for nets in status["nets"]) == 0
                and all(not server["sessions"] for server in status["servers"])
            ),
            "no call left",
        )

    def open_files(self) -> dict[str, int]:
        """How many descriptors the site's process and each media-server process have open."""
        pids = {
            "nets": self.process.pid,
            **{one["name"]: one["pid"] for one in self.status()["servers"] if one["pid"]},
        }
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a media server's process; gives its pid."""
        pid = self.server(name)["pid"]
        os.kill(pid, number)
        return pid

    def lose(self, name: str) -> int:
        """Have a media server killed and what it had let go of, so that its calls move; gives the pid it had."""
        pid = self.server(name)["pid"]
        ask("lose", self.control, server=name)
        return pid

    def drain(self, name: str) -> None:
        """Let a media server take no new calls."""
        ask("drain", self.control, server=name, draining=True)

    def stop(self, patience_s: float = 10) -> int:
        """Ask it to stop, and after ``patience_s`` to do so at once; gives the exit status."""
        for seconds in (patience_s, 60):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(seconds)
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait()
        self._log.close()
        return status

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        # Calls that a story has left behind are not waited for.
        self.stop(patience_s=1)


def left_over(folder: Path) -> list[str]:
    """Processes of sites under ``folder`` that still run, as their command lines."""
    wanted = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if wanted in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found
