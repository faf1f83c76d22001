"""Certificates for tests, made by the openssl command in a second."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.installed import needs

needs_openssl = needs("openssl", "openssl")


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, in a directory of its own."""

    def __init__(self, where: Path, name: str = "authority") -> None:
        where.mkdir(parents=True, exist_ok=True)
        self._where = where
        self.certificate = where / f"{name}.pem"
        self._key = where / f"{name}.key"
        self._count = 0
        openssl(
            "req", "-x509", *NEW_KEY, "-keyout", self._key, "-out", self.certificate, "-days", "2",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip

    def issue(self, *names: str) -> Issued:
        """A certificate made out to these: ``DNS:example.test``, ``IP:127.0.0.1``."""
        self._count += 1
        stem = self._where / f"issued{self._count}"
        issued = Issued(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        openssl(
            "req", "-x509", *NEW_KEY, "-keyout", issued.key, "-out", issued.certificate, "-days", "1",
            "-subj", f"/CN=issued{self._count}", "-addext", f"subjectAltName={','.join(names)}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.certificate, "-CAkey", self._key,
        )  # fmt: skip
        return issued

    def issue_for(self, begins: str, ends: str, *names: str) -> Issued:
        """The same, valid from one day to another, both as ``20200131``."""
        self._count += 1
        stem = self._where / f"issued{self._count}"
        request, config, index = stem.with_suffix(".csr"), stem.with_suffix(".cnf"), stem.with_suffix(".txt")
        issued = Issued(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        index.write_text("")
        config.write_text(
            f"[ca]\ndefault_ca=a\n[a]\ndatabase={index}\nnew_certs_dir={self._where}\ndefault_md=sha256\n"
            f"policy=p\nrand_serial=yes\nx509_extensions=x\n[p]\ncommonName=supplied\n"
            f"[x]\nsubjectAltName={','.join(names)}\nbasicConstraints=critical,CA:FALSE\n"
        )
        openssl("req", *NEW_KEY, "-keyout", issued.key, "-out", request, "-subj", f"/CN=issued{self._count}")
        openssl(
            "ca", "-config", config, "-batch", "-notext", "-in", request, "-out", issued.certificate,
            "-cert", self.certificate, "-keyfile", self._key,
            "-startdate", f"{begins}000000Z", "-enddate", f"{ends}000000Z",
        )  # fmt: skip
        return issued


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: object) -> None:
    """Run it, and show what it said when it failed."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
