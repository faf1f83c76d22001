"""The timers of RFC 3261 table 4, and RFC 6026's L and M."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timers:
    """Durations in seconds. A shorter ``t1`` suits a local network; all else follows from it as the RFC has it."""

    t1: float = 0.5
    """Round-trip estimate: the first retransmission (A, E, G)."""
    t2: float = 4.0
    """Longest interval of retransmissions, except of INVITE requests."""
    t4: float = 5.0
    """How long a message stays in the network (I, K)."""
    trying: float = 0.2
    """After this an unanswered INVITE is answered with 100 (section 17.2.1)."""
    b: float | None = None
    """How long an INVITE of ours may be without any response; None: 64*T1."""
    d: float = 32.0
    """How long a client absorbs repeated final responses of a refused INVITE."""
    f: float | None = None
    """How long another request of ours may be without its final response; None: 64*T1."""
    reliable: bool = False
    """Over TCP nothing is retransmitted but 2xx, and nothing has to be absorbed (D, I, J, K are zero)."""

    @property
    def transaction(self) -> float:
        """64*T1: timers H, J, L and M."""
        return 64 * self.t1

    @property
    def invite(self) -> float:
        """Timer B."""
        return self.transaction if self.b is None else self.b

    @property
    def request(self) -> float:
        """Timer F."""
        return self.transaction if self.f is None else self.f
