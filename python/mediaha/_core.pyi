"""What Rust does for mediaha: the media server, the failover pool, and an RTP load generator.

Nothing here calls back into Python. What happens on a Rust thread waits in a queue; ``fileno()`` becomes readable
when something waits, and one call takes it all. Every time is in seconds of ``time.monotonic()``, every address is
text (``127.0.0.1:5060``, ``[::1]:5060``), every SDP is bytes.

The trio faces are ``mediaha.media``, ``mediaha.failover`` and ``mediaha.load``; nothing else should import this.
"""

from collections.abc import Sequence
from typing import Literal, final

from mediaha.model.errors import MediahaError as MediahaError

__all__ = [
    "Anchored",
    "Arrivals",
    "Attempt",
    "BadArgument",
    "Closed",
    "Deleted",
    "Gap",
    "Load",
    "MediaServer",
    "MediahaError",
    "Moved",
    "Pool",
    "QueueFull",
    "Record",
    "Refused",
    "ServerState",
    "ServerView",
    "StartError",
    "Stranded",
]

class StartError(MediahaError):
    """A socket could not be bound or a thread not be started; the text names the address and the cause."""

class QueueFull(MediahaError):
    """The thread has not taken what it was sent before. Nothing was queued; try again, or refuse the call."""

class BadArgument(MediahaError):
    """An argument is not what its description asks for: an address, an interface, a server's name."""

class Closed(MediahaError):
    """``close()`` was called before."""

@final
class Record:
    """One line for the log, written by a Rust thread."""

    @property
    def at(self) -> float: ...
    @property
    def level(self) -> Literal["debug", "info", "warning", "error"]: ...
    @property
    def event(self) -> str: ...
    @property
    def fields(self) -> str:
        """A JSON object with the facts of the event."""

@final
class MediaServer:
    """A media server: an ng control port and relay threads that carry RTP. It works until ``close()``."""

    def __new__(
        cls,
        *,
        listen_ng: str,
        interfaces: Sequence[str],
        ports: tuple[int, int],
        name: str = "media",
        workers: int = 1,
        sessions_max: int = 20000,
        silence_timeout_s: float = 60.0,
        held_timeout_s: float = 3600.0,
        orphan_timeout_s: float = 180.0,
        coalesce_ms: float = 0.5,
        busy_percent_max: int = 90,
        dscp: int = 46,
        datapath: str = "auto",
    ) -> MediaServer:
        """Bind the control port and start the threads.

        ``interfaces`` are ``ADDRESS``, ``NAME/ADDRESS`` or ``NAME/ADDRESS!ADVERTISED``; ``ports`` the first and
        last port for RTP. Port 0 in ``listen_ng`` takes a free one. ``coalesce_ms`` is how long packets may be
        gathered before they are forwarded, when there are many. New calls are refused while the busiest thread has
        worked for more than ``busy_percent_max`` of the last seconds. ``dscp`` (RFC 2474) marks what is sent.
        ``datapath`` is ``sockets``, ``steered``, or ``auto`` for the fastest that works here; ``statistics()`` says
        which it is. Raises StartError, BadArgument.
        """

    @property
    def listen_ng(self) -> str:
        """Where the control port is bound."""

    def fileno(self) -> int:
        """A descriptor that is readable while records wait; it belongs to the server."""

    def records(self) -> list[Record]:
        """Take the log records that wait, oldest first."""

    @property
    def records_dropped(self) -> int:
        """How many records were dropped since the start because nobody took them."""

    @property
    def failure(self) -> str | None:
        """Why the server has stopped by itself, if it has; the process should end then."""

    def drain(self, draining: bool = True) -> None:
        """Refuse new calls (or take them again); those that are there go on."""

    def statistics(self) -> str:
        """Calls, streams, packets and refusals as a JSON object."""

    def close(self) -> None:
        """Stop relaying, join the threads, give the ports back. A second call does nothing."""

@final
class Attempt:
    """One request to one media server, as part of a story."""

    @property
    def server(self) -> str: ...
    @property
    def request(self) -> str:
        """``offer``, ``answer`` or ``delete``."""

    @property
    def asked_at(self) -> float: ...
    @property
    def answered_at(self) -> float | None: ...
    @property
    def outcome(self) -> str:
        """``answered``, ``no answer``, ``unreachable``, ``overtaken``, or the error text of the server."""

@final
class Anchored:
    """A media server took the offer or answer that was sent under ``token``."""

    @property
    def token(self) -> int: ...
    @property
    def call_id(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def sdp(self) -> bytes:
        """What the other party is to be sent."""

    @property
    def story(self) -> list[Attempt]: ...

@final
class Refused:
    """The request under ``token`` has failed for good."""

    @property
    def token(self) -> int: ...
    @property
    def call_id(self) -> str: ...
    @property
    def fault(self) -> Literal["caller", "no server", "unknown call", "busy"]: ...
    @property
    def reason(self) -> str: ...
    @property
    def story(self) -> list[Attempt]: ...

@final
class Deleted:
    """The call is forgotten; its server has been told, or will be when it is back."""

    @property
    def token(self) -> int: ...
    @property
    def call_id(self) -> str: ...

@final
class Moved:
    """The server of a call died and ``server`` has taken the call; both parties must be told."""

    @property
    def call_id(self) -> str: ...
    @property
    def from_server(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def sdp_for_caller(self) -> bytes | None:
        """None while the callee has not answered."""

    @property
    def sdp_for_callee(self) -> bytes | None: ...
    @property
    def story(self) -> list[Attempt]: ...

@final
class Stranded:
    """The server of a call died and no other of its list is alive; a Moved follows when one is."""

    @property
    def call_id(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def why(self) -> str: ...

@final
class ServerState:
    """What a media server is good for has changed."""

    @property
    def server(self) -> str: ...
    @property
    def state(self) -> Literal["usable", "suspect", "dead", "recovering", "draining"]: ...
    @property
    def why(self) -> str: ...
    @property
    def since(self) -> float: ...

@final
class ServerView:
    """A media server as the pool saw it when its thread last came round."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def state(self) -> Literal["usable", "suspect", "dead", "recovering", "draining"]: ...
    @property
    def why(self) -> str: ...
    @property
    def since(self) -> float: ...
    @property
    def calls(self) -> int: ...
    @property
    def rtt_ms(self) -> float | None: ...

@final
class Pool:
    """A thread that watches media servers, places calls on them in listed order, and moves calls when one dies.

    Commands return at once; what became of them comes out of ``events()`` under the token they were given. Events
    are never dropped: a call has at most one Moved or Stranded waiting (the newest), a server one ServerState.
    """

    def __new__(
        cls,
        *,
        servers: Sequence[tuple[str, str]],
        heartbeat_ms: int = 50,
        silence_ms_max: int = 150,
        hold_down_ms: int = 2000,
        in_flight_max: int = 64,
        commands_max: int = 16384,
        seed: int | None = None,
    ) -> Pool:
        """Watch ``servers``, pairs of a name and an ng address. Raises StartError, BadArgument.

        ``in_flight_max`` is how many calls are being moved at the same time: few, and the first of a thousand is
        ready within milliseconds; many, and a server with a long round trip is kept busy. ``seed`` decides the
        cookies; None takes one from the system.
        """

    def fileno(self) -> int:
        """A descriptor that is readable while events wait; it belongs to the pool."""

    def events(self) -> list[Anchored | Refused | Deleted | Moved | Stranded | ServerState]:
        """Take a batch of the events that wait, oldest first. ``fileno()`` stays readable while more wait."""

    def offer(
        self, token: int, call_id: str, from_tag: str, to_tag: str | None, sdp: bytes, servers: Sequence[str]
    ) -> None:
        """Ask for media: of the first usable of ``servers``, or, for a call that has media, of its server.

        An Anchored or a Refused follows. Raises QueueFull, Closed.
        """

    def answer(self, token: int, call_id: str, from_tag: str, to_tag: str, sdp: bytes) -> None:
        """Give the answer to the last offer. An Anchored or a Refused follows. Raises QueueFull, Closed."""

    def delete(self, token: int, call_id: str) -> None:
        """End the call's media. A Deleted follows. Raises QueueFull, Closed."""

    def adopt(
        self,
        token: int,
        call_id: str,
        from_tag: str,
        to_tag: str | None,
        from_sdp: bytes,
        to_sdp: bytes | None,
        servers: Sequence[str],
        current: str | None,
    ) -> None:
        """Take over a call that another pool placed on ``current``, from the SDP that both parties last sent.

        An Anchored or a Refused follows. Raises QueueFull, Closed.
        """

    def configure(self, servers: Sequence[tuple[str, str]]) -> None:
        """Replace the servers; those whose name stays keep their state and calls. Raises BadArgument, Closed."""

    def drain(self, server: str, draining: bool) -> None:
        """Let a server take no new calls, or let it again. Raises QueueFull, Closed."""

    def died(self, server: str, why: str) -> None:
        """Say that a server is known to be dead (its process exited); it is acted on at once."""

    def servers(self) -> list[ServerView]:
        """The servers in the order of the configuration, as the thread last saw them, some 50 ms ago at most."""

    @property
    def requests_dropped(self) -> int:
        """Requests that the kernel did not take: full queues, no way to the server."""

    @property
    def replies_illegible(self) -> int:
        """Datagrams from servers that were no replies."""

    def close(self) -> None:
        """Stop watching and join the thread. Calls stay where they are. A second call does nothing."""

@final
class Arrivals:
    """What one endpoint of a Load, or all together, has heard. Counts are of packets."""

    @property
    def sent(self) -> int: ...
    @property
    def received(self) -> int:
        """Packets of the right sender with the right content, each counted once."""

    @property
    def lost(self) -> int:
        """Packets of the sender between the first and the newest heard that were never heard."""

    @property
    def reordered(self) -> int: ...
    @property
    def duplicated(self) -> int: ...
    @property
    def misdirected(self) -> int:
        """Packets that another endpoint than the paired one has sent: somebody hears a stranger."""

    @property
    def corrupt(self) -> int:
        """Packets that no endpoint has sent like this."""

    @property
    def refused(self) -> int:
        """Sends that failed."""

    @property
    def latency_ms_p50(self) -> float | None: ...
    @property
    def latency_ms_p99(self) -> float | None: ...
    @property
    def latency_ms_max(self) -> float | None: ...
    @property
    def gap_ms_max(self) -> float:
        """The longest time between two packets in a row, the silence up to now included; 0 before the second."""

    @property
    def gap_began(self) -> float | None:
        """When the longest gap began."""

@final
class Gap:
    """A time in which an endpoint that was being sent to heard nothing right."""

    @property
    def endpoint(self) -> int: ...
    @property
    def began(self) -> float: ...
    @property
    def ended(self) -> float | None:
        """None while it lasts."""

def set_up_calls(server: str, calls: list[tuple[bytes, bytes]], in_flight: int) -> tuple[float, list[float]]:
    """Offer and answer of each call, as prepared ng datagrams, ``in_flight`` calls at a time.

    Their cookies begin with the call's place in the list, in digits, and ``-``. Gives how long all took and how long
    each offer took, in seconds. Raises OSError when the server does not answer or refuses, BadArgument.
    """

@final
class Load:
    """Threads that send RTP from many sockets, a packet each ``ptime_ms``, and check every packet they hear.

    A packet carries its sender, its number, its time and a filling derived from them; an endpoint accepts only
    those of the endpoint it was paired with.
    """

    def __new__(cls, *, threads: int = 1, ptime_ms: int = 20, gap_ms_min: int = 50, timeline_s: float = 300.0) -> Load:
        """Start the threads. Gaps of at least ``gap_ms_min`` are remembered, the newest 64 of each endpoint."""

    def open(self, address: str = "127.0.0.1") -> tuple[int, str]:
        """Bind a socket on a free port; gives the endpoint and where it listens. Raises StartError, Closed."""

    def pair(self, a: int, b: int) -> None:
        """Let ``a`` expect the packets of ``b`` and ``b`` those of ``a``. Raises BadArgument, Closed."""

    def aim(self, endpoint: int, remote: str) -> None:
        """Send the endpoint's packets to ``remote`` from now on. Raises BadArgument, Closed."""

    def start(self, endpoint: int) -> None:
        """Begin to send, once aimed."""

    def stop(self, endpoint: int) -> None:
        """Send no more and watch for gaps no more; late packets are still counted."""

    @property
    def lateness_ms_max(self) -> float:
        """How late a packet was sent at worst: that much of a gap may be the generator's own."""

    def shut(self, endpoint: int) -> None:
        """Close the endpoint's socket; what it has heard stays in the totals."""

    def arrivals(self, endpoint: int | None = None) -> Arrivals:
        """What the endpoint has heard; without one, the sum of all."""

    def gaps(self, *, longer_than_ms: float = 0.0, after: float = 0.0) -> list[Gap]:
        """Gaps that lasted longer and ended, or have not ended, after the moment ``after``; by endpoint."""

    def timeline(self, last_s: float | None = None) -> tuple[float, float, list[int]]:
        """When the first bucket began, how many seconds a bucket is long, and packets heard right in each."""

    def close(self) -> None:
        """Stop the threads and close the sockets. A second call does nothing."""
