"""What Rust does for mediaha: the media server, the failover pool, an RTP load generator, and SIP messages.

Nothing here calls back into Python. What happens on a Rust thread waits in a queue; ``fileno()`` becomes readable
when something waits, and one call takes it all. Every time is in seconds of ``time.monotonic()``, every address is
text (``127.0.0.1:5060``, ``[::1]:5060``), every SDP is bytes.

The trio faces are ``mediaha.media``, ``mediaha.failover`` and ``mediaha.load``, messages belong to ``mediaha.sip``;
nothing else should import this.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Literal, final

from typing_extensions import disjoint_base

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError as MediahaError

__all__ = [
    "Anchored",
    "Arrivals",
    "Attempt",
    "BadArgument",
    "CSeq",
    "Closed",
    "Deleted",
    "Gap",
    "Headers",
    "Keeper",
    "Line",
    "Load",
    "Malformed",
    "MediaServer",
    "MediahaError",
    "Message",
    "Moved",
    "NameAddr",
    "Pool",
    "QueueFull",
    "Record",
    "Refused",
    "Request",
    "Response",
    "ServerState",
    "ServerView",
    "StartError",
    "Stranded",
    "Succession",
    "Uri",
    "Via",
    "adopt_calls",
    "cseq_untrusted",
    "equivalent",
    "is_token",
    "name_addr_untrusted",
    "read_message",
    "reason_of",
    "set_up_calls",
    "share_heap",
    "split_commas",
    "uri_untrusted",
    "via_untrusted",
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
        line: Line | None = None,
    ) -> MediaServer:
        """Bind the control port and start the threads.

        ``interfaces`` are ``ADDRESS``, ``NAME/ADDRESS`` or ``NAME/ADDRESS!ADVERTISED``; ``ports`` the first and
        last port for RTP. Port 0 in ``listen_ng`` takes a free one. ``coalesce_ms`` is how long packets may be
        gathered before they are forwarded, when there are many. New calls are refused while the busiest thread has
        worked for more than ``busy_percent_max`` of the last seconds. ``dscp`` (RFC 2474) marks what is sent.
        ``datapath`` is ``sockets``, ``steered``, ``kernel``, or ``auto`` for the faster of the first two that works
        here; ``statistics()`` says which it is. On a ``line``, which is the server's from here on, what it leaves is
        kept, and it goes on itself where another process stopped. Raises StartError, BadArgument.
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

    @property
    def handed_over(self) -> bool:
        """Another process has taken over; this one relays no more, and should end."""

    def drain(self, draining: bool = True) -> None:
        """Refuse new calls (or take them again); those that are there go on."""

    def statistics(self) -> str:
        """Calls, streams, packets and refusals as a JSON object."""

    def close(self) -> None:
        """Stop relaying, join the threads, give the ports back. A second call does nothing."""

def share_heap() -> None:
    """Have all threads that this process starts from here on share one heap. For one that is a media server alone."""

@final
class Keeper:
    """A thread that holds what media-server processes leave behind: the table of their calls, and their sockets.

    When the process of a server ends, whichever way, and a spare process is ready, that one takes its place at once.
    """

    def __new__(cls) -> Keeper:
        """Start the thread; this process may have more descriptors from here on. Raises StartError."""

    def fileno(self) -> int:
        """A descriptor that is readable while there is news; it belongs to the keeper."""

    def line(self, server: str | None = None, words: str = "") -> tuple[int, int]:
        """A line's number, and the descriptor to start a process with; close it here once the process has it.

        With a ``server``, the process is that one, and gets ``words``, which say all about it, and what its former
        process has left, if anything. Without, it is a spare. Raises StartError, Closed.
        """

    def hand_over(self, server: str) -> None:
        """Have a server's process stop, so that a spare takes its place. Raises Closed."""

    def forget(self, server: str) -> None:
        """Let go of what a server has left. Raises Closed."""

    def news(self) -> list[Succession]:
        """What has happened, oldest first. Raises Closed."""

    def close(self) -> None:
        """End the thread and let go of everything. A second call does nothing."""

@final
class Succession:
    """What became of a server whose process has ended, or of a spare."""

    @property
    def what(self) -> str:
        """``ready``: the spare with this line could take a place at once.

        ``given``: the server's process is gone, and the spare with this line has taken its place. ``bereft``: it is
        gone, and what it left waits for a spare. ``lost``: it is gone, and there is nothing to be taken over.
        """

    @property
    def server(self) -> str | None: ...
    @property
    def line(self) -> int | None: ...
    @property
    def why(self) -> str | None:
        """For what is ``lost``."""

@final
class Line:
    """A media-server process's end of a line to a keeper."""

    def __new__(cls, fd: int) -> Line:
        """The descriptor that this process was started with; it belongs to the line. Raises BadArgument."""

    def fileno(self) -> int:
        """Readable when the assignment has come."""

    def ready(self) -> None:
        """Say that this process can take another one's place at once. Raises StartError, Closed."""

    def assignment(self) -> str:
        """The words for the server that this process is; waits for them. Raises StartError, Closed."""

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
    @property
    def forwards(self) -> bool | None:
        """Whether packets come through its media; None while nobody knows."""

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
        probe_ms: int = 0,
        in_flight_max: int = 64,
        commands_max: int = 16384,
        seed: int | None = None,
    ) -> Pool:
        """Watch ``servers``, pairs of a name and an ng address. Raises StartError, BadArgument.

        ``in_flight_max`` is how many calls are being moved at the same time: few, and the first of a thousand is
        ready within milliseconds; many, and a server with a long round trip is kept busy. ``probe_ms`` is how often
        a packet is sent through a session of the pool's own on each server, and expected back; 0 for never. ``seed``
        decides the cookies; None takes one from the system.
        """

    def fileno(self) -> int:
        """A descriptor that is readable while events wait; it belongs to the pool."""

    def events(self) -> list[Anchored | Refused | Deleted | Moved | Stranded | ServerState]:
        """Take a batch of the events that wait, oldest first. ``fileno()`` stays readable while more wait."""

    def offer(
        self,
        token: int,
        call_id: str,
        from_tag: str,
        to_tag: str | None,
        sdp: bytes,
        servers: Sequence[str],
        family: str | None = None,
    ) -> None:
        """Ask for media: of the first usable of ``servers``, or, for a call that has media, of its server.

        ``family`` (``IP4``, ``IP6``) is what the other party is reached by; None: as ``from_tag`` is. An Anchored or
        a Refused follows. Raises BadArgument, QueueFull, Closed.
        """

    def answer(
        self, token: int, call_id: str, from_tag: str, to_tag: str, sdp: bytes, family: str | None = None
    ) -> None:
        """Give the answer to the last offer of ``from_tag``, who is reached by ``family``.

        An Anchored or a Refused follows. Raises BadArgument, QueueFull, Closed.
        """

    def delete(self, token: int, call_id: str) -> None:
        """End the call's media, within a tenth of a second. A Deleted follows. Raises QueueFull, Closed."""

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
        to_family: str | None = None,
    ) -> None:
        """Take over a call that another pool placed on ``current``, from the SDP that both parties last sent.

        An Anchored or a Refused follows. Raises QueueFull, Closed.
        """

    def configure(self, servers: Sequence[tuple[str, str]]) -> None:
        """Replace the servers; those whose name stays keep their state and calls. Raises BadArgument, Closed."""

    def drain(self, server: str, draining: bool) -> None:
        """Let a server take no new calls, or let it again. Raises QueueFull, Closed."""

    def succeeding(self, server: str, why: str, within_s: float) -> None:
        """A server's process is gone, and another one takes over what it left: no death unless that takes longer.

        Raises QueueFull, BadArgument, Closed.
        """

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

def adopt_calls(server: str, requests: list[bytes], in_flight: int) -> float:
    """Have a media server take over calls by prepared ng ``adopt`` requests, bundled, so many datagrams at a time.

    Cookies are as for ``set_up_calls``. Gives how long it took, in seconds. Raises OSError when the server does not
    answer or refuses, BadArgument.
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

class Malformed(MediahaError):
    """A URI or header field does not follow RFC 3261's grammar (section 25). Whoever sent it is at fault: 400."""

@final
class Headers:
    """An ordered list of header fields; names are matched without case and in their compact forms too.

    Content-Length is not among them: it is written from the body. It never changes: ``with_…`` and ``without`` give
    a new one.
    """

    def __new__(cls, pairs: Iterable[tuple[str, str]] | None = None) -> Headers: ...
    def get(self, name: str) -> str | None:
        """The value of the first field called ``name``, or None."""

    def all(self, name: str) -> list[str]:
        """The values of all fields called ``name``, one per field; lists inside a value are not cut."""

    def pairs(self, *names: str) -> list[tuple[str, str]]:
        """Name and value of the fields called any of ``names``, in order: to copy them into another message."""

    def with_first(self, name: str, value: str) -> Headers:
        """With this field in front of all others."""

    def with_added(self, pairs: Iterable[tuple[str, str]]) -> Headers:
        """With these fields at the end."""

    def with_first_value(self, name: str, value: str) -> Headers:
        """With another value in the first field of this name; the others of its name stay."""

    def with_replaced(self, name: str, value: str) -> Headers:
        """With this field where the first of its name stood, or at the end; the others of its name go."""

    def without(self, *names: str) -> Headers:
        """Without the fields of these names."""

    def __contains__(self, name: str, /) -> bool: ...
    def __iter__(self) -> Iterator[tuple[str, str]]: ...
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether names and values are the same, in the same order, however the names are spelt."""

    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class CSeq:
    """The sequence number and the method of a request; as text, ``314159 INVITE``."""

    @property
    def number(self) -> int: ...
    @property
    def method(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Via:
    """The topmost Via: who sent the message and where its responses go (section 20.42, RFC 3581)."""

    @property
    def text(self) -> str:
        """The value as written."""

    @property
    def transport(self) -> str:
        """Upper case: ``UDP``."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def branch(self) -> str | None: ...
    @property
    def received(self) -> str | None: ...
    @property
    def rport(self) -> int | None:
        """The port in ``rport=``; 0 when it is there without a value, as a request asks; None when absent."""

    @property
    def sent_by(self) -> str:
        """Host and port as one comparable text; a missing port means 5060."""

    @property
    def unique(self) -> bool:
        """Whether the branch was made by the rules of RFC 3261, and so names a transaction by itself."""

    def received_from(self, host: str, port: int) -> str:
        """The text that goes into responses: ``received`` and ``rport`` filled in (RFC 3581 section 4)."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class NameAddr:
    """A From, To, Contact, Route or similar value: ``"Display" <uri>;parameters``."""

    def __new__(cls, display: str, uri: str, parameters: str, tag: str | None) -> NameAddr: ...
    @property
    def display(self) -> str:
        """As written, quotes included; empty when there is none."""

    @property
    def uri(self) -> str:
        """The text of the URI without angle brackets; it is not taken apart."""

    @property
    def parameters(self) -> str:
        """The header's own parameters as written, each with its semicolon in front."""

    @property
    def tag(self) -> str | None: ...
    def parsed_uri(self) -> Uri:
        """The URI in its parts. Raises Malformed."""

    def parameter(self, name: str) -> str | None:
        """A parameter of the header by its lower-case name: empty when it has no value, None when absent."""

    def address(self) -> str:
        """Display name and ``<uri>``, without parameters: what a dialog keeps of From and To."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Uri:
    """One URI; ``str`` writes it. ``user`` keeps its escapes and password; ``host`` has no brackets and is lower case.

    Schemes other than sip and sips have an empty ``host``, and ``user`` holds the rest of the text.
    """

    def __new__(
        cls,
        scheme: str,
        user: str | None,
        host: str,
        port: int | None = None,
        parameters: Sequence[tuple[str, str | None]] | None = None,
        headers: str = "",
    ) -> Uri: ...
    @property
    def scheme(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def parameters(self) -> tuple[tuple[str, str | None], ...]:
        """Names in lower case, values as written; None for a parameter without a value (``;lr``)."""

    @property
    def headers(self) -> str:
        """The text after the question mark."""

    def parameter(self, name: str) -> str | None:
        """The value of parameter ``name`` (lower case): empty when it has none, None when it is absent."""

    def username(self) -> str:
        """The user without escapes and password: whom it names. Empty when it names none."""

    def address(self) -> Address:
        """Host and port to send to, before any DNS: the scheme's default port when none is written."""

    def transport(self) -> str | None:
        """What it asks for, as Via writes it: ``TLS`` for sips, else its transport parameter; None: it does not say.

        ``sips`` never means less than TLS, whatever its parameter says (section 26.2.2).
        """

    def bare(self) -> Uri:
        """Without what is not allowed in a Request-URI: the headers and ``method`` (section 19.1.1, table 1)."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@disjoint_base
class Message:
    """What requests and responses have in common. It never changes: ``with_…`` give a new one.

    What must be in every message (Via, From, To, Call-ID, CSeq) is there and readable in one that was read from the
    network; in one that we made, asking for what is not there raises Malformed.
    """

    @property
    def headers(self) -> Headers: ...
    @property
    def body(self) -> bytes: ...
    @property
    def encoding(self) -> Literal["utf-8", "latin-1"]:
        """``latin-1`` for a message that was not valid UTF-8 and is written back byte for byte."""

    @property
    def via(self) -> Via:
        """The topmost Via."""

    @property
    def cseq(self) -> CSeq:
        """Sequence number and method; for a response the method that it answers."""

    @property
    def from_(self) -> NameAddr:
        """The From value."""

    @property
    def to(self) -> NameAddr:
        """The To value."""

    @property
    def from_tag(self) -> str:
        """The tag of From; empty when an RFC 2543 peer sent none."""

    @property
    def to_tag(self) -> str:
        """The tag of To; empty when there is none, as in a request that starts a dialog."""

    @property
    def call_id(self) -> str: ...
    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, or None. Raises Malformed: Contacts are not checked when the message is read."""

    @property
    def content_type(self) -> str:
        """The body's type in lower case without parameters: ``application/sdp``; empty when there is none."""

    def to_bytes(self) -> bytes:
        """The message as it goes into a datagram. Raises ValueError for a line break in what we wrote."""

@final
class Request(Message):
    """A request. ``uri`` is the Request-URI as written."""

    def __new__(
        cls, method: str, uri: str, headers: Headers, body: bytes | None = None, encoding: str = "utf-8"
    ) -> Request: ...
    @property
    def method(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def request_uri(self) -> Uri:
        """The Request-URI in its parts; its scheme may be one that we do not serve (416)."""

    @property
    def max_forwards(self) -> int:
        """Hops left; 70 when the header is missing, as RFC 2543 peers do."""

    def arrived_from(self, host: str, port: int) -> Request:
        """A copy whose topmost Via says where it really came from (RFC 3581 section 4)."""

    def with_headers(self, headers: Headers) -> Request:
        """A copy with other headers."""

    def with_body(self, body: bytes, content_type: str) -> Request:
        """A copy with another body and its type."""

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """A response with what it must copy (section 8.2.6.2, and Record-Route of section 12.1.1).

        ``to_tag`` is ours; it is added when the request has none. A body needs its Content-Type among ``headers``.
        Raises Malformed when a tag is to be added to a To that cannot be read.
        """

@final
class Response(Message):
    """A response."""

    def __new__(
        cls, status: int, reason: str, headers: Headers, body: bytes | None = None, encoding: str = "utf-8"
    ) -> Response: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def final(self) -> bool:
        """Whether no other response to the request follows."""

    def with_headers(self, headers: Headers) -> Response:
        """A copy with other headers."""

def read_message(
    data: bytes, head_bytes_max: int, headers_max: int
) -> Request | Response | tuple[int, str, Request | None]:
    """Read one datagram; or what to answer to it: status, reason, and the request, when it is one to be answered."""

def via_untrusted(value: str) -> Via:
    """Read the first Via of a field that may hold several, separated by commas. Raises Malformed."""

def name_addr_untrusted(value: str) -> NameAddr:
    """Read one name-addr or addr-spec; the URI itself is not taken apart. Raises Malformed."""

def cseq_untrusted(value: str) -> CSeq:
    """Read ``314159 INVITE``. The number is below 2**31 (section 8.1.1.5). Raises Malformed."""

def uri_untrusted(text: str) -> Uri:
    """Read an addr-spec without angle brackets. Raises Malformed."""

def equivalent(one: Uri, other: Uri) -> bool:
    """Whether two URIs name the same resource by the rules of section 19.1.4."""

def split_commas(value: str) -> list[str]:
    """The members of a comma-separated list; commas in quotes and angle brackets do not count. Raises Malformed."""

def is_token(text: str) -> bool:
    """Whether the text is a ``token`` of the grammar: a method, a tag, the name of a header or a parameter."""

def reason_of(status: int) -> str:
    """The reason phrase of a status code; of its class when the code is unknown (section 8.1.3.2)."""
