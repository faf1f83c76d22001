"""Session control (NeTS): a SIP back-to-back user agent that anchors each call's media and keeps the call when it moves.

``serve_nets`` runs one. ``decide`` says what happens to a call and why, without clock, socket or chance; ``call`` is
the call, one value; ``nets`` carries out what was decided. What NeTS needs from others is in ``ports``.
"""
