"""What goes wrong with text that came from the network."""

from __future__ import annotations

from mediaha.model.errors import MediahaError


class Malformed(MediahaError):
    """A URI or header field does not follow RFC 3261's grammar (section 25). Whoever sent it is at fault: 400."""
