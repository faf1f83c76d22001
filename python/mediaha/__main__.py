"""``python -m mediaha`` is the same as the ``mediaha`` command."""

from mediaha.cli import main

main()
