"""One NeTS of a host, with its pool and its phones: what a person may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediaha.model.listener import ListenerView
from mediaha.model.media import ServerChanged, ServerView
from mediaha.model.site import Domain, NetsSpec, Site
from mediaha.model.trunk import RegistrationView, TargetView, Trunk
from mediaha.model.user import ContactView
from mediaha.sip.trace import Traced

if TYPE_CHECKING:
    from mediaha.failover import MediaPool
    from mediaha.nets import Nets
    from mediaha.ops.phonebook import Phonebook


class CurrentRoutes:
    """The domains of the site as it is now; a reload replaces the site under the calls that come later."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @property
    def trunks(self) -> Sequence[Trunk]:
        """The trunks by which calls leave."""
        return self.site.trunks

    @property
    def domains(self) -> Sequence[Domain]:
        """All domains."""
        return self.site.domains

    def domain(self, name: str) -> Domain | None:
        """Which domain a callee belongs to."""
        return self.site.domain(name)


@dataclass(frozen=True, slots=True)
class Session:
    """A NeTS instance and the pool that finds media for it."""

    spec: NetsSpec
    running: Nets
    pool: MediaPool
    book: Phonebook

    def calls(self) -> int:
        """How many calls it has."""
        return len(self.running.calls())

    def ending(self) -> int:
        """How many of them are over for their parties, and wait for the last responses."""
        return self.running.ending()

    def transactions(self) -> int:
        """SIP transactions that are not forgotten yet."""
        return self.running.transactions()

    def refuses(self) -> str | None:
        """What a call that came now would be answered with; None: it would be taken."""
        return self.running.refuses()

    def explain(self, call_id: str) -> object | None:
        """The story of a call by NeTS's own name for it or the Call-ID of either leg."""
        return self.running.explain(call_id)

    def listeners(self) -> tuple[ListenerView, ...]:
        """Where it listens, and how much that is used."""
        return self.running.listeners()

    def turned_away(self) -> int:
        """Messages that were dropped unread since the start."""
        return self.running.turned_away()

    def trace(self, name: str, wanted: str, seconds: float) -> bool:
        """Keep the messages of a call from now on."""
        return self.running.trace(name, wanted, seconds)

    def traced(self, name: str) -> tuple[tuple[Traced, ...], int] | None:
        """The messages since this was asked last."""
        return self.running.traced(name)

    def untrace(self, name: str) -> None:
        """Keep no more messages for this trace."""
        self.running.untrace(name)

    def under_way(self, name: str) -> bool:
        """Whether a call of this name is there."""
        return self.running.under_way(name)

    def contacts(self) -> tuple[ContactView, ...]:
        """Where the users' phones are."""
        return self.book.phones.views(self.running.is_open)

    def targets(self) -> tuple[TargetView, ...]:
        """The targets of the trunks, as it sees them."""
        return self.running.targets()

    def registrations(self) -> tuple[RegistrationView, ...]:
        """Where it has registered with carriers."""
        return self.running.registrations()

    def servers(self) -> tuple[ServerView, ...]:
        """The media servers as the pool sees them."""
        return self.pool.servers()

    def changes(self) -> tuple[ServerChanged, ...]:
        """How they changed lately."""
        return self.pool.changes()
