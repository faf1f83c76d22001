"""What a new site file changes on a running host. Decides only; the node does it.

Domains and their lists are used at once. Media servers may be added, and may leave: one that still has calls is
drained first. What cannot change under calls (a running server's ports, where NeTS listens, timings) waits for the
next start, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mediaha.model.site import MediaServerSpec, Site


@dataclass(frozen=True, slots=True)
class Change:
    """The step from one site to the next on one host."""

    site: Site
    """The new site as far as it can be used now."""
    start: tuple[MediaServerSpec, ...]
    """Media servers of this host to start."""
    leave: tuple[MediaServerSpec, ...]
    """Media servers that the site no longer has: they finish their calls."""
    stay: tuple[str, ...]
    """Media servers that were leaving and are wanted again."""
    next_start: tuple[str, ...]
    """What differs and takes effect when the host is started the next time."""


def change(
    old: Site,
    new: Site,
    host: str,
    running: Mapping[str, MediaServerSpec],
    leaving: Mapping[str, MediaServerSpec],
) -> Change:
    """``running`` are the processes of this host, ``leaving`` the servers that an earlier change took out."""
    media = tuple(running.get(spec.name, spec) for spec in new.media)
    differ = [spec.name for spec, effective in zip(new.media, media, strict=True) if spec != effective]
    differ += [
        part
        for part in ("nets", "timings", "sip", "name_servers", "state")
        if getattr(old, part) != getattr(new, part)
    ]
    names = {spec.name for spec in media}
    return Change(
        site=replace(
            new,
            media=media,
            nets=old.nets,
            timings=old.timings,
            sip=old.sip,
            name_servers=old.name_servers,
            state=old.state,
        ),
        start=tuple(spec for spec in media if spec.managed and spec.host == host and spec.name not in running),
        leave=tuple(spec for spec in old.media if spec.name not in names),
        stay=tuple(name for name in leaving if name in names),
        next_start=tuple(differ),
    )
