"""From when until when a certificate is valid: we show it to ourselves, as Python reads no certificate by itself."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python does not name."""
_ROUNDS_MAX = 10


class Validity(NamedTuple):
    """Seconds since 1970."""

    begins: float
    ends: float


def validity_of(certificate: Path, key: Path) -> Validity:
    """Of a certificate that can be loaded with this key. Raises ssl.SSLError when nobody would take it at all."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # It is trusted because it is this very one, whoever has signed it.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    client.load_verify_locations(certificate)
    shown = _shown(client, server)
    return Validity(
        float(ssl.cert_time_to_seconds(str(shown["notBefore"]))),
        float(ssl.cert_time_to_seconds(str(shown["notAfter"]))),
    )


def _shown(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, object]:
    """What the client sees of the server's certificate, in a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    done = [False, False]
    for _ in range(_ROUNDS_MAX):
        for index, end in enumerate(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            done[index] = True
        if all(done):
            break
    return dict(ends[0].getpeercert() or {})
