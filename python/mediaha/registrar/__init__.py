"""The registrar (RFC 3261 section 10): who the users are, and where their phones are. The doer is ``Phones``.

``registering`` decides what a REGISTER does to the contacts of one user, ``contacts`` reads what it says, ``people``
says who sent a request. ``phones`` puts them together, with a clock, and has the contacts written down.
"""

from mediaha.registrar.phones import Phones

__all__ = ["Phones"]
