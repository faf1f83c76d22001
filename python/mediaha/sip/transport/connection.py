"""One connection: opened, read until it ends, written without waiting. Does; `framing` and `patience` decide."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
import trio

from mediaha.sip.target import Target
from mediaha.sip.transport.channel import Channel
from mediaha.sip.transport.framing import PING, PONG, Framing
from mediaha.sip.transport.patience import Cut, Ended, Patience, Ping, StreamLimits
from mediaha.sip.transport.seam import Ears, Heard

CHUNKS_MAX = 16
"""Read in one go from one connection, before others have their turn."""
LINGER_S_MAX = 0.5
"""How long one who will be cut off may still get what there is to say, while nothing more is read of it."""


_log = structlog.get_logger(__name__)

Stirred = Callable[["Connection", int], None]
"""Called when a connection was opened or heard, with the number of messages: its deadlines may have moved."""


class Unsent:
    """How many bytes wait in all connections of a listener."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0


class Connection:
    """A stream to one peer. `run` is its life; `send` and `cut` may be called at any time of it."""

    def __init__(
        self,
        flow: Target,
        channel: Channel,
        *,
        patience: Patience,
        limits: StreamLimits,
        unsent: Unsent,
        stirred: Stirred,
    ) -> None:
        """``flow`` leads to the other end."""
        self.flow = flow
        self.patience = patience
        self.names: tuple[str, ...] = ()
        """What the peer's certificate is made out to."""
        self.why = ""
        """Why it was closed."""
        self._channel = channel
        self._limits = limits
        self._unsent = unsent
        self._stirred = stirred
        self._framing = Framing()
        self._tasks: trio.Nursery | None = None
        """There while it is open."""
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._life = trio.CancelScope()

    def send(self, message: bytes) -> str | None:
        """Send, or keep until there is room. One who lets us keep too much is cut off.

        Returns why it cannot be sent, or None.
        """
        if self.ending:
            return "the connection is closing"
        if self._tasks is not None and not self._kept:
            try:
                sent = self._channel.send(message)
            except OSError as error:
                self.cut(_reason(error))
                return self.why
            if sent == len(message):
                return None
            message = message[sent:] if sent else message
        return self._keep(message)

    @property
    def ending(self) -> bool:
        """Whether nothing can be sent on it any more."""
        return isinstance(self.patience.state, Ended)

    def cut(self, why: str) -> None:
        """Close it soon, without a word more."""
        self.why = self.why or why
        self.patience.ended()
        self._life.cancel()

    def wake(self, now: float) -> bool:
        """A deadline of its patience may have come. Returns whether that ended it."""
        match self.patience.wake(now):
            case Cut(why):
                self.cut(why)
                return True
            case Ping():
                self._framing.pinged()
                self.send(PING)
        return False

    async def run(self, opening: Callable[[Channel], Awaitable[None]], ears: Ears) -> None:
        """Live: open, read until it ends or is cut, and close whatever happens."""
        try:
            with self._life:
                await opening(self._channel)
                async with trio.open_nursery() as self._tasks:
                    self._opened()
                    await self._read(ears)
                    self._tasks.cancel_scope.cancel()
        except* OSError as errors:
            self.why = self.why or _reason(errors)
        except* Exception as errors:
            # A mistake of ours; one connection must not end all calls.
            _log.exception("connection_failed", flow=str(self.flow))
            self.why = self.why or _reason(errors)
        finally:
            self._tasks = None
            self.patience.ended()
            self._unsent.total -= self._kept_bytes
            self._kept.clear()
            self._channel.close()
            self.why = self.why or "closed"

    def _opened(self) -> None:
        self.names = self._channel.names()
        self.patience.opened(trio.current_time())
        self._stirred(self, 0)
        if self._kept and self._tasks is not None:
            self._tasks.start_soon(self._send_kept)

    async def _read(self, ears: Ears) -> None:
        while True:
            for _ in range(CHUNKS_MAX):
                data = self._channel.receive()
                if data is None:
                    await self._channel.readable()
                elif not data:
                    self.why = self.why or "closed by the other end"
                    return
                elif not self._take(data, ears):
                    await self._part()
                    return
            await trio.lowlevel.checkpoint()

    def _take(self, data: bytes, ears: Ears) -> bool:
        """Tell the messages that these bytes complete. Returns whether reading can go on."""
        framing = self._framing
        pings, pongs = framing.pings, framing.pongs
        messages = framing.feed(data)
        self.patience.heard(
            trio.current_time(), messages=len(messages), pongs=framing.pongs - pongs, begun=framing.begun
        )
        self._stirred(self, len(messages))
        if framing.pings > pings:
            self.send(PONG)  # one for all that came at once: nobody counts them
        if messages:
            ears.heard(Heard([(message, self.flow) for message in messages]))
        fault = framing.fault
        if fault is None:
            return True
        self.why = f"cut short: {fault}"
        ears.cut_short(fault.head, fault.status, fault.reason, self.flow)
        return False

    async def _part(self) -> None:
        """Let the other end read why, and what its messages before are answered.

        What comes is taken off the socket and ignored: unread, it would take our last words along when it is closed.
        """
        with trio.move_on_after(LINGER_S_MAX):
            while self._channel.receive() != b"":
                await self._channel.readable()
        self._channel.finish()

    async def _send_kept(self) -> None:
        kept = self._kept
        while kept:
            sent = self._channel.send(kept[0])
            if sent == 0:
                await self._channel.writable()
                continue
            self._kept_bytes -= sent
            self._unsent.total -= sent
            if sent == len(kept[0]):
                kept.popleft()
            else:
                kept[0] = kept[0][sent:]

    def _keep(self, message: bytes) -> str | None:
        size = len(message)
        limits = self._limits
        fair = limits.unsent_total_bytes_max // limits.connections_max
        if self._kept_bytes + size > limits.unsent_bytes_max or (
            self._unsent.total + size > limits.unsent_total_bytes_max and self._kept_bytes + size > fair
        ):
            self.cut("it does not read what we send")
            return self.why
        if not self._kept and self._tasks is not None:
            self._tasks.start_soon(self._send_kept)
        self._kept.append(message)
        self._kept_bytes += size
        self._unsent.total += size
        return None


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error)
