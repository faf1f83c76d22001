"""The command line: ``mediaha serve``, ``status``, ``explain``, ``trace``, ``drain``, ``undrain``, ``upgrade``,
``check-config``, ``hash-secret``, ``drill``.

Commands are imported when they are used, so that ``--help`` is quick; what a command prints for people goes to
standard output, logs and complaints go to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

from mediaha.cli.complaints import exit_status_of


def main(words: Sequence[str] | None = None) -> None:
    """Run a command line and exit with its status; ``words`` None: the one that this process was started with."""
    from mediaha.cli.commands import app

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a bar or an arrow that a terminal does not know ends no command
    try:
        result = app(words)
        sys.stdout.flush()
    except BaseException as error:
        sys.exit(exit_status_of(error))
    sys.exit(result if isinstance(result, int) else 0)
