"""Certificates: ours, and whom we trust. Read from files, and read again without touching connections. Does."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from mediaha.model.errors import MediahaError
from mediaha.model.listener import Tls
from mediaha.sip.transport.validity import Validity, validity_of


class CertificateError(MediahaError):
    """A certificate or key cannot be used; the text names the file and what is wrong with it."""


class Identity:
    """What new connections use: read once, and again when `reload` is called."""

    def __init__(self, files: Tls) -> None:
        """Raises CertificateError."""
        self.files = files
        self.as_server = _as_server(files)
        self.as_client = _as_client(files)
        self.ends = _checked_validity(files).ends
        """Until when our certificate is valid, seconds since 1970."""

    def reload(self) -> None:
        """Read the files again. Connections that there are go on with what they have.

        Raises CertificateError; then what was read before stays in use.
        """
        as_server, as_client = _as_server(self.files), _as_client(self.files)
        self.ends = _checked_validity(self.files).ends
        self.as_server, self.as_client = as_server, as_client


def _as_server(files: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _load(context, files)
    if files.client_authorities is not None:
        _trust(context, files.client_authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _as_client(files: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    _load(context, files)
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, files.authorities)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A peer could have us do the costly part of a handshake over and over on one connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_NO_COMPRESSION


def _load(context: ssl.SSLContext, files: Tls) -> None:
    for path in (files.certificate, files.key):
        _readable(path)
    try:
        # An encrypted key must not have us ask for its password on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(
            f"{files.certificate} and {files.key} are no certificate and its key: {_words(error)}"
        ) from error


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    _readable(authorities)
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise CertificateError(f"{authorities} holds no certificates: {_words(error)}") from error


def _checked_validity(files: Tls) -> Validity:
    """Who shows a certificate that is over reaches nobody: better to say so than to let every phone find out."""
    try:
        validity = validity_of(files.certificate, files.key)
    except ssl.SSLError as error:
        raise CertificateError(f"{files.certificate} is no certificate for a server: {_words(error)}") from error
    now = time.time()
    if validity.ends <= now:
        raise CertificateError(f"{files.certificate} has expired: it was valid until {_day(validity.ends)}")
    if validity.begins > now:
        raise CertificateError(f"{files.certificate} is not valid yet: only from {_day(validity.begins)} on")
    return validity


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted; a service cannot ask for its password")


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if reason else str(error)
