"""linphone as a phone: an independent SIP stack that knows SHA-256. It answers, and takes commands on its input."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.peers.ports import free_udp_port

CONFIG = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
default_proxy=0
verify_server_certs=1
verify_server_cn=0
root_ca={authorities}
guess_hostname=1
[rtp]
audio_rtp_port={rtp}
[proxy_0]
reg_proxy=<{registrar}>
reg_route=<{registrar};lr>
reg_identity=<sip:{name}@{domain}>
reg_sendregister=1
reg_expires=300
publish=0
[auth_info_0]
username={name}
passwd={secret}
realm={domain}
domain={domain}
"""


# Its TLS knows no IP addresses in certificates, so that only who has signed them is looked at.


class Linphone:
    """One running phone of a user, which registers at once and answers every call."""

    def __init__(
        self, folder: Path, name: str, domain: str, secret: str, registrar: str, transport: str, authorities: Path
    ) -> None:
        """``registrar`` is a SIP URI with the transport in it."""
        home = folder / f"linphone-{name}"
        # It hangs when it cannot make its database.
        for place in (".local/share/linphone", ".config/linphone"):
            (home / place).mkdir(parents=True)
        port = free_udp_port()
        ports = {kind: port if kind == transport else -1 for kind in ("udp", "tcp", "tls")}
        config = CONFIG.format(
            **ports, name=name, domain=domain, secret=secret, registrar=registrar, authorities=authorities,
            rtp=free_udp_port() & ~1,
        )  # fmt: skip
        (home / "linphonerc").write_text(config)
        self._log = home / "log"
        with (home / "screen").open("wb") as screen:
            self._process = subprocess.Popen(
                ["linphonec", "-c", str(home / "linphonerc"), "-a", "-d", "5", "-l", str(self._log)],
                stdin=subprocess.PIPE, stdout=screen, stderr=subprocess.STDOUT, cwd=home,
                env={**os.environ, "HOME": str(home)},
            )  # fmt: skip

    def command(self, line: str) -> None:
        """Type a line: ``call URI``, ``terminate``, ``unregister``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def log(self) -> str:
        """What it did, its SIP messages included."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def __enter__(self) -> Linphone:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
