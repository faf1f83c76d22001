"""The registrar of one NeTS for as long as its host runs, with the notebook that its contacts are kept in."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from mediaha.model.site import Site
from mediaha.model.user import User
from mediaha.registrar import Phones
from mediaha.store import Notebook


class Phonebook:
    """``phones`` is for NeTS, ``configure`` for whoever reads the site again."""

    def __init__(self, path: Path) -> None:
        self._notebook = Notebook(path)
        self._is_open = False
        self.phones = Phones((), self._notebook)

    async def configure(self, users: Sequence[User]) -> None:
        """The users are these from now on. The file is opened when there are the first ones."""
        self.phones.configure(users)
        if users and not self._is_open:
            self._is_open = True
            self.phones.remember(await trio.to_thread.run_sync(self._notebook.read))

    async def close(self) -> None:
        """Write down what is left to be written."""
        if self._is_open:
            await trio.to_thread.run_sync(self._notebook.close)


@asynccontextmanager
async def open_phonebook(site: Site, nets: str) -> AsyncIterator[Phonebook]:
    """The phonebook of the NeTS of this name."""
    folder = site.state or state_folder(os.environ)
    book = Phonebook(folder / f"{_plain(site.name)}-{_plain(nets)}-contacts.sqlite")
    await book.configure(site.users)
    try:
        yield book
    finally:
        with trio.CancelScope(shield=True):
            await book.close()


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where a service keeps what must survive a restart: where systemd says, or else at the user's home."""
    if told := environment.get("STATE_DIRECTORY"):
        return Path(told.partition(":")[0])
    home = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME", "/")) / ".local" / "state"
    return Path(home) / "mediaha"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)
