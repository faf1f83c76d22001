"""A mediaha site as a user starts it, `python -m mediaha serve`, and asked through its own command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mediaha.ops.asking import NotServing, ask
from tests.peers.ports import free_udp_port

PORTS_EACH = 400


class Site:
    """One running `mediaha serve`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        target: str | None = None,
        standalone: bool = True,
        log_to: int | None = None,
    ) -> None:
        self.folder = folder
        self.control = folder / "control.sock"
        self.port = free_udp_port()
        self.target_port = free_udp_port()
        command = [sys.executable, "-m", "mediaha", "serve", "--control", str(self.control), "--log-format", "json"]
        if standalone:
            ng = free_udp_port()
            while free_udp_port() != ng + 1:  # the second media server's control port follows the first's
                ng = free_udp_port()
            target = target or f"127.0.0.1:{self.target_port}"
            command += ["--listen", f"127.0.0.1:{self.port}", "--target", target, "--ng-port", str(ng)]
        command += arguments
        self._log = (folder / "site.log").open("wb")
        errors = self._log if log_to is None else log_to
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=errors)

    @property
    def address(self) -> str:
        """Where NeTS takes calls."""
        return f"127.0.0.1:{self.port}"

    @property
    def target(self) -> str:
        """Where its calls go."""
        return f"127.0.0.1:{self.target_port}"

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

    def ready(self) -> Site:
        """Wait until every media server is usable."""
        self.wait_until(
            lambda status: status["servers"] and all(server["state"] == "usable" for server in status["servers"]),
            "every media server usable",
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

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a media server's process; gives its pid."""
        pid = self.server(name)["pid"]
        os.kill(pid, number)
        return pid

    def stop(self) -> int:
        """Ask it to stop, twice if need be; gives the exit status."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait()
        self._log.close()
        return status

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
