"""A host and a port, written the way people write them: ``127.0.0.1:5060``, ``[::1]:5060``."""

from __future__ import annotations

from typing import NamedTuple

from mediaha.model.errors import MediahaError

PORT_MAX = 65535


class AddressError(MediahaError):
    """The text is not HOST:PORT."""


class Address(NamedTuple):
    """Where something listens or is reached. ``host`` is a name or a literal without brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Address:
        """Read ``HOST:PORT``; the port may be left out when there is a default.

        Raises AddressError with the text and what was expected.
        """
        host, bracket, rest = text.partition("]")
        if bracket:
            host, port_text = host.removeprefix("["), rest.removeprefix(":")
        elif text.count(":") > 1:
            host, port_text = text, ""  # a bare IPv6 literal has no room for a port
        else:
            host, _, port_text = text.partition(":")
        if not port_text and default_port is not None:
            port_text = str(default_port)
        if not host or not port_text.isascii() or not port_text.isdigit() or int(port_text) > PORT_MAX:
            raise AddressError(f"{text!r} is not an address; write HOST:PORT, like 127.0.0.1:5060 or [::1]:5060")
        return cls(host, int(port_text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
