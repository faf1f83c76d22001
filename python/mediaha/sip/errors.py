"""What goes wrong with text that came from the network."""

from __future__ import annotations

from mediaha._core import Malformed

__all__ = ["Malformed"]
