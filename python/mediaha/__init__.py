"""mediaha: calls that outlive their servers.

Three parts can be used alone, on trio; each name below is imported when it is first used.

The relay, a media server that speaks rtpengine's ng protocol::

    spec = mediaha.MediaServerSpec("media-1", host="", ng=mediaha.Address("127.0.0.1", 2223))
    relay = await nursery.start(mediaha.serve_media, spec)

The failover pool, which finds media for calls on the first usable server of a list and moves them when it dies::

    async with mediaha.open_pool(servers, mediaha.Timings()) as pool:
        anchored = await pool.offer(call_id, from_tag, None, sdp, ["media-1", "media-2"])

Session control, a SIP back-to-back user agent in front of the two::

    nets = await nursery.start(mediaha.serve_nets, nets_spec, site, pool)

A whole site is read with ``load_site`` or made with ``standalone_site``. Runnable examples are in ``examples/``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediaha.failover import MediaPool as MediaPool
    from mediaha.failover import open_pool as open_pool
    from mediaha.load import Load as Load
    from mediaha.media import RunningMedia as RunningMedia
    from mediaha.media import serve_media as serve_media
    from mediaha.model.address import Address as Address
    from mediaha.model.errors import MediahaError as MediahaError
    from mediaha.model.media import Anchored as Anchored
    from mediaha.model.media import MediaRefused as MediaRefused
    from mediaha.model.media import Moved as Moved
    from mediaha.model.media import ServerChanged as ServerChanged
    from mediaha.model.media import ServerView as ServerView
    from mediaha.model.media import Stranded as Stranded
    from mediaha.model.site import Domain as Domain
    from mediaha.model.site import MediaServerSpec as MediaServerSpec
    from mediaha.model.site import NetsSpec as NetsSpec
    from mediaha.model.site import Site as Site
    from mediaha.model.site import Timings as Timings
    from mediaha.nets import Nets as Nets
    from mediaha.nets import serve_nets as serve_nets
    from mediaha.registrar import Phones as Phones
    from mediaha.tca import SiteMistakes as SiteMistakes
    from mediaha.tca import load_site as load_site
    from mediaha.tca import standalone_site as standalone_site

_HOMES = {
    "mediaha.failover": ("MediaPool", "open_pool"),
    "mediaha.load": ("Load",),
    "mediaha.media": ("RunningMedia", "serve_media"),
    "mediaha.model.address": ("Address",),
    "mediaha.model.errors": ("MediahaError",),
    "mediaha.model.media": ("Anchored", "MediaRefused", "Moved", "ServerChanged", "ServerView", "Stranded"),
    "mediaha.model.site": ("Domain", "MediaServerSpec", "NetsSpec", "Site", "Timings"),
    "mediaha.nets": ("Nets", "serve_nets"),
    "mediaha.registrar": ("Phones",),
    "mediaha.tca": ("SiteMistakes", "load_site", "standalone_site"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'mediaha' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value  # the next use does not come here again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
