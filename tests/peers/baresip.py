"""baresip as a phone: it plays a melody, records what it hears, and is told what to do over its TCP control."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

from tests.peers import melody
from tests.peers.ports import free_udp_port

MODULES = Path("/usr/lib/baresip/modules")

CONFIG = """\
poll_method epoll
sip_listen {at}:{sip}
net_interface {host}
call_max_calls 4
audio_source aufile,{folder}/melody.wav
audio_alert aufile,/dev/null
rtp_ports {rtp}-{rtp_last}
rtp_timeout 0
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}
"""


class Baresip:
    """One running phone."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        answers: bool = False,
        rtp: int = 0,
        account: str | None = None,
        authorities: Path | None = None,
        port: int = 0,
        proxy: str = "",
        host: str = "127.0.0.1",
    ) -> None:
        """``account`` is its line in the accounts file but for what every phone here has: then it registers, too.

        ``proxy``: where all its calls go, whatever they are called; else to the host that they are for. ``host`` is
        where it is, with its signalling and its media.
        """
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.port = port or free_udp_port()
        control = free_udp_port()
        while control == self.port + 1:  # its TLS listener takes the port after SIP
            control = free_udp_port()
        rtp = rtp or (free_udp_port() & ~1)
        melody.write(self.folder / "melody.wav", 60)
        at = f"[{host}]" if ":" in host else host
        config = CONFIG.format(
            at=at,
            host=host,
            sip=self.port,
            folder=self.folder,
            rtp=rtp,
            rtp_last=rtp + 20,
            modules=MODULES,
            control=control,
        )
        if authorities is not None:
            config += f"sip_cafile {authorities}\n"
        (self.folder / "config").write_text(config)
        mode = "auto" if answers else "manual"
        account = account or f"<sip:{name}@{at}:{self.port}>;regint=0"
        outbound = f';outbound="sip:{proxy}"' if proxy else ""
        (self.folder / "accounts").write_text(f"{account};answermode={mode};audio_codecs=PCMA{outbound}\n")
        (self.folder / "contacts").write_text("")
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["baresip", "-s", "-f", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(self.folder)},
        )
        try:
            self._control = self._connect(control)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._received = b""
        self._events: list[dict[str, object]] = []

    def _connect(self, port: int) -> socket.socket:
        deadline = time.monotonic() + 20
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            except OSError:
                assert self._process.poll() is None, f"{self.name} ended: {self.log()}"
                assert time.monotonic() < deadline, f"{self.name} does not listen: {self.log()}"
                time.sleep(0.05)
                continue
            connection.settimeout(0.2)
            return connection

    def messages(self) -> str:
        """Every message that it has sent and received."""
        return (self.folder / "log").read_text(errors="replace")

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def command(self, command: str, params: str = "") -> None:
        """Send a command: dial, accept, hangup, hold, resume, quit."""
        message = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._control.sendall(b"%d:%s," % (len(message), message))

    def wait_for(self, event: str, timeout: float = 20) -> None:
        """Wait until it has told of an event, such as CALL_ESTABLISHED; each is waited for once."""
        deadline = time.monotonic() + timeout
        while True:
            for position, told in enumerate(self._events):
                if told.get("type") == event:
                    del self._events[: position + 1]
                    return
            assert time.monotonic() < deadline, f"{self.name}: no {event} within {timeout} s\n{self.log()}"
            self._read()

    def has_told(self, event: str) -> bool:
        """Whether an event that was not waited for has come."""
        self._read()
        return any(told.get("type") == event for told in self._events)

    def _read(self) -> None:
        try:
            self._received += self._control.recv(65536)
        except TimeoutError:
            return
        while True:
            length, colon, rest = self._received.partition(b":")
            if not colon or len(rest) <= int(length):
                return
            self._events.append(json.loads(rest[: int(length)]))
            self._received = rest[int(length) + 1 :]

    def heard(self) -> melody.Heard:
        """What it has recorded of its peer; to be asked after the call."""
        (recording,) = sorted(self.folder.glob("dump-*-dec.wav"))
        return melody.listen(recording)

    def close(self) -> None:
        """End it."""
        self._control.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()

    def __enter__(self) -> Baresip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
