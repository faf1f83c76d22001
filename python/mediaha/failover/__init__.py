"""The failover pool for trio: media for calls, from the first usable server of a list, moved when the server dies.

``open_pool`` is a block; inside it, ``offer``, ``answer`` and ``delete`` are asked for a call, and ``notices``
tells which calls were moved and how the servers are. The pool itself is a Rust thread that keeps its promises
while Python is busy.
"""

from mediaha.failover.notices import Notice
from mediaha.failover.pool import MediaPool, open_pool

__all__ = ["MediaPool", "Notice", "open_pool"]
