"""What survives a restart, in SQLite: written behind by a thread, so that no call ever waits for a disk."""

from mediaha.store.notebook import Notebook

__all__ = ["Notebook"]
