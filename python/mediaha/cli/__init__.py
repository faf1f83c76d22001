"""The command line: ``mediaha serve``, ``status``, ``explain``, ``trace``, ``drain``, ``undrain``, ``check-config``,
``hash-secret``, ``drill``.

Commands are imported when they are used, so that ``--help`` is quick; what a command prints for people goes to
standard output, logs and complaints go to standard error.
"""

from __future__ import annotations

import sys

from mediaha.cli.complaints import exit_status_of


def main() -> None:
    """Run the command line and exit with its status."""
    from mediaha.cli.commands import app  # noqa: PLC0415 - the parser is not needed by those who import mediaha

    try:
        result = app()
    except BaseException as error:
        sys.exit(exit_status_of(error))
    sys.exit(result if isinstance(result, int) else 0)
