"""Who may ask for a call: known places by their address or certificate, users who prove it. Does; ``gate`` decides.

Whoever is neither gets the same answer, and each time that costs it some of what it may send (``sip/rate.py``).
"""

from __future__ import annotations

import trio

from mediaha.model.site import NetsSpec
from mediaha.model.user import User
from mediaha.nets.gate import Gate, networks_of
from mediaha.nets.ports import Phones
from mediaha.nets.trunks.watch import Trunks
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.registration import Answer
from mediaha.sip.target import TLS, Target
from mediaha.sip.transaction.events import Incoming

FORBIDDEN = Answer(403)
STRANGER_COSTS = 10
"""What a request that is refused to a stranger counts for, in messages: who tries out secrets is soon not heard."""


class Entrance:
    """The entrance of one NeTS."""

    def __init__(self, spec: NetsSpec, endpoint: Endpoint, trunks: Trunks, phones: Phones) -> None:
        self._endpoint = endpoint
        self._trunks = trunks
        self._phones = phones
        self._gate = Gate(networks_of(spec))

    def ask(self, event: Incoming) -> User | Answer | None:
        """A request outside of dialogs: what it is answered at once, or the user who has proved that it is his.

        None: it comes from a known place.
        """
        answer = self._ask(event)
        guard = self._endpoint.guard
        if isinstance(answer, Answer) and answer.status == FORBIDDEN.status and guard is not None:
            guard.charge(event.flow.address.host, STRANGER_COSTS, trio.current_time())
        return answer

    def _ask(self, event: Incoming) -> User | Answer | None:
        request, flow = event.request, event.flow
        if request.method == "REGISTER" and len(self._phones):
            return self._phones.register(request, flow)
        host = flow.address.host
        # Whom we call may call us.
        if self._gate.admits(host) or host in self._trunks.hosts() or self._has_certificate(flow):
            return None
        if request.method == "INVITE":
            return self._phones.caller(request, flow)
        return None if self._phones.are_at(flow) else FORBIDDEN

    def _has_certificate(self, flow: Target) -> bool:
        """Whether it is a trunk's target by its certificate (mutual TLS), wherever it comes from."""
        names = self._endpoint.certificate_names(flow) if flow.transport == TLS else ()
        return bool(names) and not self._trunks.names().isdisjoint(name.lower() for name in names)
