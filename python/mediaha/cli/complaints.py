"""What a person sees when a command cannot be done: a sentence for a mistake, a traceback only for a bug of ours."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator

from mediaha.model.errors import MediahaError

FAILED = 1
INTERRUPTED = 130
NOWHERE_TO_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def exit_status_of(error: BaseException) -> int:
    """Say on standard error what went wrong, and give the status to exit with."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has had enough.
        _write_no_more()
        return FAILED
    if isinstance(error, OSError) and error.errno in NOWHERE_TO_WRITE:
        _write_no_more()
        complain(f"the output cannot be written: {(error.strerror or str(error)).lower()}")
        return FAILED
    if all(isinstance(leaf, KeyboardInterrupt) for leaf in _leaves(error)):
        return INTERRUPTED
    sentences = sentences_of(error)
    if sentences is not None:
        for sentence in sentences:
            complain(sentence)
        return FAILED
    traceback.print_exception(error)
    complain("this is a mistake in mediaha, not yours; please report it with the lines above")
    return FAILED


def sentences_of(error: BaseException) -> list[str] | None:
    """What to tell the person when the error, or all of a group, was raised for one; None when it is a bug."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, MediahaError | KeyboardInterrupt) for leaf in leaves):
        return None
    return list(dict.fromkeys(line for leaf in leaves for line in str(leaf).splitlines()))


def _write_no_more() -> None:
    """Without this Python flushes standard output at exit, and complains of the same once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(line: str) -> None:
    """One line on standard error."""
    print(f"mediaha: {line}", file=sys.stderr)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors that a group is made of, however deep; an error that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
