"""The drill: real calls through a real site, a fault on purpose, and an honest count of what was lost.

``run`` does it, ``phones`` are the callers and callees, ``calls`` all their calls together, ``faults`` is what is
done to a media server, ``report`` is what came of it, ``plot`` and ``screen`` show it.
"""
