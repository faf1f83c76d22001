"""Where the control socket is, when nobody says where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def control_paths(environment: Mapping[str, str], here: Path) -> tuple[Path, ...]:
    """The places in the order of preference: the user's own runtime directory, the system's, the working directory."""
    found = []
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime) / "mediaha" / "control.sock")
    found.append(Path("/run/mediaha/control.sock"))
    found.append(here / "mediaha-control.sock")
    return tuple(found)


def path_to_serve() -> Path:
    """The first place where a socket can be made; its directory is created, for this user only."""
    *preferred, last = control_paths(os.environ, Path.cwd())
    for path in preferred:
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        if os.access(path.parent, os.W_OK | os.X_OK):
            return path
    return last


def path_to_ask() -> Path | None:
    """The first place where there is a socket now."""
    return next((path for path in control_paths(os.environ, Path.cwd()) if path.is_socket()), None)
