"""Session control (NeTS): a SIP back-to-back user agent whose calls survive their media servers.

``serve_nets`` runs one. ``decide`` says what happens to a call and why, without clock, socket or chance; ``call`` is
the call, one value; ``reception`` takes what comes in, ``carrier`` carries out what was decided. What NeTS needs from
others is in ``ports``.
"""

from mediaha.nets.call import Call
from mediaha.nets.nets import Nets, serve_nets
from mediaha.nets.ports import Checkpoint, Media, Routes
from mediaha.nets.rules import Limits
from mediaha.nets.written import read_back, write_down

__all__ = ["Call", "Checkpoint", "Limits", "Media", "Nets", "Routes", "read_back", "serve_nets", "write_down"]
