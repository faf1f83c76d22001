"""A site.toml of one host, on free ports: media servers of its own and others that only stand in its lists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.ports import free_udp_port, rtp_ports
from tests.peers.site import Site

QUICK = {"hold_down_ms": 300}
"""Timings for tests: a server that is back is trusted sooner."""
CALM = {**QUICK, "silence_ms_max": 3000}
"""For parties that are not ready for anything: on a busy machine, nobody is thought dead who only had to wait."""


@dataclass(frozen=True)
class Media:
    """A ``[[media]]`` table."""

    name: str
    ng: str
    more: Mapping[str, object] = field(default_factory=dict)


def ours(name: str, **more: object) -> Media:
    """A media server that the site starts; ``more`` are further keys of its table."""
    first, last = rtp_ports()
    return Media(name, f"127.0.0.1:{free_udp_port()}", {"host": "here", "ports": f"{first}-{last}", **more})


def foreign(name: str, ng: str) -> Media:
    """A media server that somebody else runs."""
    return Media(name, ng, {"managed": False})


class SiteFile:
    """The file, written when made and again on ``write``; ``serve`` runs the site in it."""

    def __init__(
        self,
        folder: Path,
        *media: Media,
        host: str = "127.0.0.1",
        target_host: str | None = None,
        lists: Mapping[str, Sequence[str]] | None = None,
        timings: Mapping[str, object] = QUICK,
        trunks: Mapping[str, Mapping[str, object]] | None = None,
        nets: Mapping[str, object] | None = None,
        sip: Mapping[str, object] | None = None,
        name_server: str | None = None,
    ) -> None:
        """``lists`` gives each domain its media servers; left out, one domain has all, as they are given.

        Calls go to ``target_host``, if not to the host that the site is on.
        The calls of a domain that ``trunks`` has a table for go by that trunk. ``nets`` are further keys of NeTS's,
        ``sip`` says how its SIP behaves, ``name_server`` is whom it asks for names.
        """
        self.path = folder / "site.toml"
        self._media = media
        self._host = host
        self._target_host = target_host or host
        self._timings = timings
        self._trunks = trunks or {}
        self._nets = nets or {}
        self._sip = sip or {}
        self._dns = {"servers": [name_server]} if name_server is not None else {}
        self._port = free_udp_port()
        lists = lists or {"*": [one.name for one in media]}
        self.targets = {domain: free_udp_port() for domain in lists}
        """Where the calls of each domain go."""
        self.write(lists)

    def write(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Write the file with these lists of the domains that it was made with."""
        nets = {"name": "nets-1", "host": "here", "listen": f"{self._host}:{self._port}", **self._nets}
        domains = [{"name": domain, "media": list(names), **self._way(domain)} for domain, names in lists.items()]
        tables = [
            _table("[[hosts]]", {"name": "here", "address": self._host}),
            *(_table("[[media]]", {"name": one.name, "ng": one.ng, **one.more}) for one in self._media),
            _table("[[nets]]", nets),
            *(_table("[[trunks]]", {"name": name, **trunk}) for name, trunk in self._trunks.items()),
            *(_table("[[domains]]", domain) for domain in domains),
            _table("[timings]", self._timings),
            _table("[sip]", self._sip),
            _table("[dns]", self._dns),
        ]
        self.path.write_text("\n".join(tables))

    def _way(self, domain: str) -> Mapping[str, object]:
        if domain in self._trunks:
            return {"trunks": [domain]}
        return {"targets": [f"{self._target_host}:{self.targets[domain]}"]}

    def serve(self, *arguments: str, inside: Sequence[str] = ()) -> Site:
        """Run the site; calls are expected at the target of the first domain."""
        site = Site(self.path.parent, str(self.path), *arguments, standalone=False, inside=inside)
        site.host, site.target_host = self._host, self._target_host
        site.port = self._port
        site.target_port = next(iter(self.targets.values()))
        return site


def _table(head: str, entries: Mapping[str, object]) -> str:
    """TOML writes strings, numbers, booleans and lists of them as JSON does."""
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in entries.items()), ""])
