"""``MediaPool``: waits for the Rust pool's events and hands each to the task that it concerns."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Concatenate, ParamSpec

import structlog
import trio

from mediaha import _core
from mediaha.failover import values
from mediaha.failover.notices import Backlog, Notice
from mediaha.model.media import (
    Anchored,
    Family,
    Fault,
    MediaRefused,
    OnOutcome,
    Outcome,
    ServerChanged,
    ServerView,
)
from mediaha.model.site import MediaServerSpec, Timings

NOTICES_MAX = 1024
"""Notices that wait in the channel itself; further ones wait in the backlog, one for each call or server."""
RETRY_S = 0.005
CHANGES_MAX = 256
"""Changes of servers that are remembered; the oldest is forgotten."""

_log = structlog.get_logger("pool")
P = ParamSpec("P")


class _Asked:
    """A request whose event has not come."""

    __slots__ = ("done", "outcome")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.outcome: Outcome | None = None

    def settle(self, outcome: Outcome | None) -> None:
        self.outcome = outcome
        self.done.set()


class MediaPool:
    """The trio face of the Rust pool; made by ``open_pool``. All methods are for the thread that trio runs in.

    A task that is cancelled while it waits has still asked: an offer that nobody wants any more is undone with
    ``delete``. Whoever has thousands of calls asks with ``begin_offer``, ``begin_answer`` and ``begin_delete``, which
    need no task: ``on`` is called with what became of it, later, and must not block.
    """

    def __init__(self, core: _core.Pool) -> None:
        self._core = core
        self._tokens = count(1)
        self._asked: dict[int, _Asked] = {}
        self._begun: dict[int, OnOutcome] = {}
        self._undeleted: deque[str] = deque()
        """Calls to be deleted once the queue has room; bounded by the calls that there are."""
        self._backlog = Backlog()
        self._backlog_grew = trio.Event()
        self._changes: deque[ServerChanged] = deque(maxlen=CHANGES_MAX)
        self._notices_in, self._notices = trio.open_memory_channel[Notice](NOTICES_MAX)
        self._on_notice: Callable[[Notice], None] | None = None

    async def offer(
        self,
        call_id: str,
        from_tag: str,
        to_tag: str | None,
        sdp: bytes,
        servers: Sequence[str],
        family: Family | None = None,
    ) -> Anchored:
        """Ask for media: of the first usable of ``servers``, or, for a call that has media, of its server.

        ``servers`` are names in the order in which they are to be asked. In a later offer of a call they replace
        its list, unless there are none. ``family`` is what the other party is reached by; None: as ``from_tag`` is.
        Raises MediaRefused.
        """
        return await self._anchored(self._ask(self._core.offer, call_id, from_tag, to_tag, sdp, servers, family))

    async def answer(
        self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, family: Family | None = None
    ) -> Anchored:
        """Give what ``to_tag`` answered to the last offer of ``from_tag``, who is reached by ``family``.

        Raises MediaRefused.
        """
        return await self._anchored(self._ask(self._core.answer, call_id, from_tag, to_tag, sdp, family))

    async def adopt(
        self,
        call_id: str,
        *,
        from_tag: str,
        to_tag: str | None,
        from_sdp: bytes,
        to_sdp: bytes | None,
        servers: Sequence[str],
        current: str | None,
        to_family: Family | None = None,
    ) -> Anchored:
        """Take over a call that another NeTS placed on ``current``, from what both parties last sent.

        The SDP of the result is empty: when the call had to be created anew, a Moved says so. Raises MediaRefused.
        """
        return await self._anchored(
            self._ask(self._core.adopt, call_id, from_tag, to_tag, from_sdp, to_sdp, servers, current, to_family)
        )

    async def delete(self, call_id: str) -> None:
        """End the call's media. A dead server is no error: it is told when it is back."""
        self._backlog.forget(call_id)
        while True:
            token = next(self._tokens)
            try:
                self._core.delete(token, call_id)
            except _core.QueueFull:
                # A deletion may not get lost, and the queue is emptied within a round of the pool's.
                await trio.sleep(RETRY_S)
            except _core.Closed:
                return
            else:
                await self._settled(token)
                return

    def begin_offer(
        self,
        call_id: str,
        from_tag: str,
        to_tag: str | None,
        sdp: bytes,
        servers: Sequence[str],
        family: Family | None,
        on: OnOutcome,
    ) -> None:
        """Ask as ``offer`` does, and go on. Raises MediaRefused: then ``on`` is not called."""
        self._begun[self._ask(self._core.offer, call_id, from_tag, to_tag, sdp, servers, family)] = on

    def begin_answer(
        self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, family: Family | None, on: OnOutcome
    ) -> None:
        """Give an answer as ``answer`` does, and go on. Raises MediaRefused: then ``on`` is not called."""
        self._begun[self._ask(self._core.answer, call_id, from_tag, to_tag, sdp, family)] = on

    def begin_delete(self, call_id: str) -> None:
        """End the call's media as ``delete`` does, and go on."""
        self._backlog.forget(call_id)
        self._undeleted.append(call_id)
        self._delete_rest()

    def notices(self) -> trio.MemoryReceiveChannel[Notice]:
        """Calls that were moved or stranded, and servers whose condition changed: one channel, for one reader.

        Nothing that is still true is ever dropped: when the reader is slow, a newer notice about the same call or
        server takes the place of one that waits beyond the newest thousand, so that memory is bounded by the calls.
        """
        return self._notices

    def give_notices(self, on_notice: Callable[[Notice], None] | None) -> None:
        """Call ``on_notice`` with each notice from now on instead of putting it into ``notices``; None: no more.

        Each comes in its place among the outcomes of what was begun: through the channel, the word that a call was
        moved could be overtaken by the answer to a question that was asked after it. Those that wait there are given
        at once. It must not block.
        """
        self._on_notice = on_notice
        if on_notice is None:
            return
        with suppress(trio.WouldBlock):
            while True:
                self._notify(self._notices.receive_nowait())
        while waiting := self._backlog.take():
            self._notify(waiting)

    def servers(self) -> tuple[ServerView, ...]:
        """The servers in configured order, as the pool saw them some 50 ms ago at most."""
        return tuple(values.view(seen) for seen in self._core.servers())

    def changes(self) -> tuple[ServerChanged, ...]:
        """How the servers' condition changed lately, oldest first; the last 256 changes."""
        return tuple(self._changes)

    def configure(self, servers: Sequence[MediaServerSpec]) -> None:
        """Replace the servers; those whose name and address stay keep their state and their calls.

        Raises MediahaError when two have one name or an address is none; nothing has changed then.
        """
        self._core.configure(_named(servers))

    def drain(self, server: str, draining: bool = True) -> None:
        """Let a server take no new calls, or let it again."""
        self._core.drain(server, draining)

    def died(self, server: str, why: str) -> None:
        """Say that a server's process is gone: its calls move at once."""
        self._core.died(server, why)

    def succeeding(self, server: str, why: str, within_s: float) -> None:
        """Say that another process takes over a server's calls: no death unless that takes longer."""
        self._core.succeeding(server, why, within_s)

    async def run(self) -> None:
        """Hand out events until cancelled; ``open_pool`` sees to it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._empty_backlog)
            while True:
                await trio.lowlevel.wait_readable(self._core.fileno())
                for event in self._core.events():
                    self._hand_out(event)
                self._delete_rest()

    def close(self) -> None:
        """End the Rust thread and refuse whoever still waits; ``open_pool`` sees to it."""
        self._core.close()
        for asked in self._asked.values():
            asked.settle(_refused_by_closed())
        self._notices_in.close()

    def _hand_out(
        self,
        event: _core.Anchored | _core.Refused | _core.Deleted | _core.Moved | _core.Stranded | _core.ServerState,
    ) -> None:
        match event:
            case _core.Anchored():
                self._settle(event.token, values.anchored(event))
            case _core.Refused():
                self._settle(event.token, values.refused(event))
            case _core.Deleted():
                self._settle(event.token, None)
            case _:
                notice = values.notice(event)
                if isinstance(notice, ServerChanged):
                    self._changes.append(notice)
                self._notify(notice)

    def _settle(self, token: int, outcome: Outcome | None) -> None:
        on = self._begun.pop(token, None)
        if on is not None and outcome is not None:
            try:
                on(outcome)
            except Exception:
                # One call's mistake must not end all the others.
                _log.exception("outcome failed", token=token)
        # Nobody waits under the token when the task was cancelled.
        elif asked := self._asked.get(token):
            asked.settle(outcome)

    def _delete_rest(self) -> None:
        # While the queue is full there is an event to come for what is in it, and this is tried again then.
        while self._undeleted:
            try:
                self._core.delete(next(self._tokens), self._undeleted[0])
            except _core.QueueFull:
                return
            except _core.Closed:
                self._undeleted.clear()
                return
            self._undeleted.popleft()

    def _notify(self, notice: Notice) -> None:
        if self._on_notice is not None:
            try:
                self._on_notice(notice)
            except Exception:
                # One call's mistake must not end all the others.
                _log.exception("notice failed", notice=type(notice).__name__)
            return
        if not self._backlog:
            try:
                self._notices_in.send_nowait(notice)
            except trio.WouldBlock:
                pass
            except trio.BrokenResourceError:
                return  # The reader has closed the channel: it wants to know no more.
            else:
                return
        self._backlog.put(notice)
        self._backlog_grew.set()

    async def _empty_backlog(self) -> None:
        while True:
            await self._backlog_grew.wait()
            self._backlog_grew = trio.Event()
            while notice := self._backlog.take():
                try:
                    await self._notices_in.send(notice)
                except trio.BrokenResourceError:
                    return

    def _ask(self, submit: Callable[Concatenate[int, P], None], *arguments: P.args, **named: P.kwargs) -> int:
        """Give the Rust pool a question. Gives its token. Raises MediaRefused: it was not taken."""
        token = next(self._tokens)
        try:
            submit(token, *arguments, **named)
        except _core.QueueFull as error:
            raise MediaRefused(Fault.BUSY, str(error)) from error
        except _core.BadArgument as error:
            raise MediaRefused(Fault.CALLER, str(error)) from error
        except _core.Closed as error:
            raise _refused_by_closed() from error
        return token

    async def _anchored(self, token: int) -> Anchored:
        outcome = await self._settled(token)
        if isinstance(outcome, Anchored):
            return outcome
        raise outcome or _refused_by_closed()

    async def _settled(self, token: int) -> Outcome | None:
        asked = self._asked[token] = _Asked()
        try:
            await asked.done.wait()
        finally:
            del self._asked[token]
        return asked.outcome


@asynccontextmanager
async def open_pool(servers: Sequence[MediaServerSpec], timings: Timings) -> AsyncIterator[MediaPool]:
    """Watch ``servers`` while the block lasts. Raises MediahaError when that cannot begin.

    Calls stay on their servers when the block ends. What the block raises comes out as it is.
    """
    core = _core.Pool(
        servers=_named(servers),
        heartbeat_ms=timings.heartbeat_ms,
        silence_ms_max=timings.silence_ms_max,
        hold_down_ms=timings.hold_down_ms,
        probe_ms=timings.probe_ms,
    )
    pool = MediaPool(core)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.run)
            try:
                yield pool
            except BaseException as error:
                # Raised again below: inside of the nursery it would come out wrapped into a group.
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        pool.close()
    if failure is not None:
        raise failure


def _named(servers: Sequence[MediaServerSpec]) -> list[tuple[str, str]]:
    return [(server.name, str(server.ng)) for server in servers]


def _refused_by_closed() -> MediaRefused:
    return MediaRefused(Fault.NO_SERVER, "the failover pool is closed")
