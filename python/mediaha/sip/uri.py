"""SIP URIs (RFC 3261 section 19.1): read, written and compared by ``rust/sip``.

``tel:`` and unknown schemes are kept as text.
"""

from __future__ import annotations

from mediaha._core import Uri, equivalent, uri_untrusted

__all__ = ["DEFAULT_PORT", "DEFAULT_PORT_TLS", "Uri", "equivalent", "uri_untrusted"]

DEFAULT_PORT = 5060
DEFAULT_PORT_TLS = 5061
