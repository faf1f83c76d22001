"""The certificate files of one host's NeTS: whether they can be used, found before anything is started. Does.

Other hosts have other files, so only those of one host can be looked into.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

from mediaha.model.listener import Tls
from mediaha.model.site import NetsSpec, Site
from mediaha.sip.transport.tls import CertificateError, Identity
from mediaha.tca.lines import line_of, positions
from mediaha.tca.mistakes import Mistake

DAYS_LEFT_MIN = 14


def certificate_mistakes(file: Path, site: Site, host: str) -> tuple[Mistake, ...]:
    """What is wrong with the certificate files of the NeTS on ``host``, with the lines of ``file`` that name them."""
    try:
        lines = positions(file.read_text().replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError):
        lines = {}
    found: list[Mistake] = []
    for index, nets in enumerate(site.nets):
        if nets.host == host and (tls := _tls_of(nets)) is not None:
            line = line_of(lines, ("nets", index, "tls_certificate"))
            found += [Mistake(line, text, hint, warning) for text, hint, warning in _faults(nets, tls)]
    return tuple(found)


def _tls_of(nets: NetsSpec) -> Tls | None:
    return next((listener.tls for listener in nets.listeners if listener.tls is not None), None)


def _faults(nets: NetsSpec, tls: Tls) -> Iterator[tuple[str, str | None, bool]]:
    try:
        identity = Identity(tls)
    except CertificateError as error:
        yield f"nets {nets.name!r}: {error}", None, False
        return
    days = (identity.ends - time.time()) / 86_400
    if days < DAYS_LEFT_MIN:
        yield f"nets {nets.name!r}: {tls.certificate} expires in {days:.0f} days", "renew it, then reload", True
    if tls.key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield f"nets {nets.name!r}: everybody on this machine can read {tls.key}", "chmod o-rwx", True
