"""What the tables of a site file mean together, and the ``Site`` that comes of them.

Names must be defined before they are used in a list, addresses must be addresses, and nothing may stand twice.
Two parts in the way of each other on one machine are the business of ``collisions``.
"""

from __future__ import annotations

import ipaddress

import msgspec

from mediaha.model.address import Address, AddressError
from mediaha.model.sip import SipSettings
from mediaha.model.site import Domain, Host, MediaServerSpec, NetsSpec, Site, Timings
from mediaha.tca.addresses import INTERFACE_HINT, interface_mistake, is_ip, network_mistake, parse_ports
from mediaha.tca.collisions import report_collisions
from mediaha.tca.lines import KeyPath
from mediaha.tca.listeners import checked_listeners
from mediaha.tca.mistakes import did_you_mean
from mediaha.tca.reading import Reading
from mediaha.tca.schema import DomainTable, MediaTable, NetsTable
from mediaha.tca.trunks import checked_target, checked_trunks, report_circles, report_unreachable, report_without_media
from mediaha.tca.users import checked_users, user_domains

NG_PORT = 2223
SESSION_S_MIN = 90


def checked_site(reading: Reading) -> Site:
    """The site as far as it makes sense; everything that does not is added to the reading's mistakes."""
    _report_doubles(reading)
    hosts = _hosts(reading)
    media = [_media(reading, path, table, hosts) for path, table in reading.media]
    nets = [_nets(reading, path, table, hosts) for path, table in reading.nets]
    trunks = checked_trunks(reading)
    domains = [_domain(reading, path, table) for path, table in reading.domains]
    site = Site(
        name=reading.name,
        hosts=tuple(hosts.values()),
        media=tuple(spec for spec in media if spec is not None),
        nets=tuple(spec for spec in nets if spec is not None),
        domains=tuple(spec for spec in domains if spec is not None),
        trunks=trunks,
        users=checked_users(reading),
        timings=_timings(reading),
        sip=_sip(reading),
        state=None if reading.state is None else reading.folder / reading.state,
        name_servers=_name_servers(reading),
    )
    if not (reading.document.get("nets") or reading.document.get("media")):
        reading.mistake((), "there is nothing to run", "define [[media]] and [[nets]]")
    report_collisions(reading, site)
    _report_loops(reading, site)
    report_unreachable(reading, site)
    report_without_media(reading, site)
    _report_unused(reading, site)
    return site


def _report_doubles(reading: Reading) -> None:
    """Each name once. Domain names are compared without regard to case (RFC 3261 section 19.1.4)."""
    for kind in ("hosts", "media", "nets", "trunks", "domains"):
        first: dict[str, KeyPath] = {}
        for path, table in getattr(reading, kind):
            key = table.name.lower() if kind == "domains" else table.name
            if key in first:
                line = reading.line((*first[key], "name"))
                reading.mistake((*path, "name"), f"{kind} {table.name!r} is defined twice", f"first in line {line}")
            first.setdefault(key, path)


def _hosts(reading: Reading) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    by_address: dict[str, str] = {}
    for path, table in reading.hosts:
        where = (*path, "address")
        if table.address is not None and not is_ip(table.address):
            reading.mistake(where, f"{table.address!r} is not an IP address", "names are not looked up")
        elif table.address is not None and (other := by_address.setdefault(table.address, table.name)) != table.name:
            reading.mistake(where, f"hosts {table.name!r} and {other!r} have one address, {table.address}")
        hosts.setdefault(table.name, Host(table.name, table.address))
    return hosts


def _media(reading: Reading, path: KeyPath, table: MediaTable, hosts: dict[str, Host]) -> MediaServerSpec | None:
    before = len(reading.mistakes)
    host = _host(reading, path, table.host, hosts) if table.host is not None else None
    if table.host is None and table.managed:
        hint = "name one of the [[hosts]], or write managed = false when mediaha does not start it"
        reading.mistake(path, f"media {table.name!r} has no 'host'", hint)
    ng = _address(reading, (*path, "ng"), table.ng, host, NG_PORT)
    interfaces = tuple(table.interfaces) if table.interfaces is not None else _own_address(host)
    if table.managed and host is not None and not interfaces:
        hint = f'write interfaces = ["IP"], or an address in host {table.host!r}'
        reading.mistake((*path, "interfaces"), f"media {table.name!r} has no interface for RTP", hint)
    for index, written in enumerate(interfaces if table.interfaces is not None else ()):
        if (wrong := interface_mistake(written)) is not None:
            reading.mistake((*path, "interfaces", index), wrong, INTERFACE_HINT)
    ports = _port_range(reading, path, table.ports)
    if ng is not None and ipaddress.ip_address(ng.host).is_unspecified:
        reading.mistake((*path, "ng"), f"{ng.host} is not an address that can be asked", "name one of the host's own")
    if len(reading.mistakes) > before or ng is None or ports is None:
        return None
    return MediaServerSpec(
        name=table.name,
        host=table.host or "",
        ng=ng,
        interfaces=interfaces,
        ports=ports,
        workers=table.workers,
        sessions_max=table.sessions_max,
        silence_s_max=table.silence_s_max,
        held_s_max=table.held_s_max,
        orphan_s_max=table.orphan_s_max,
        busy_percent_max=table.busy_percent_max,
        dscp=table.dscp,
        datapath=table.datapath,
        managed=table.managed,
    )


def _nets(reading: Reading, path: KeyPath, table: NetsTable, hosts: dict[str, Host]) -> NetsSpec | None:
    before = len(reading.mistakes)
    listeners = checked_listeners(reading, path, table, _host(reading, path, table.host, hosts))
    for index, network in enumerate(table.callers or ()):
        if (wrong := network_mistake(network)) is not None:
            reading.mistake((*path, "callers", index), wrong, "write IP or IP/PREFIX, like 192.0.2.0/24")
    if any(not mistake.warning for mistake in reading.mistakes[before:]) or not listeners:
        return None
    callers = None if table.callers is None else tuple(table.callers)
    return NetsSpec(table.name, table.host, listeners, callers)


def _domain(reading: Reading, path: KeyPath, table: DomainTable) -> Domain | None:
    before = len(reading.mistakes)
    _report_list(reading, (*path, "media"), table.name, table.media)
    _report_way(reading, path, table)
    known = {media.name for _, media in reading.media} | reading.unread["media"]
    for index, name in enumerate(table.media):
        if name not in known:
            hint = did_you_mean(name, known) or "define it in [[media]]"
            reading.mistake(
                (*path, "media", index), f"domain {table.name!r} lists {name!r}, which is not defined", hint
            )
    where = (*path, "targets")
    targets = [checked_target(reading, (*where, index), text) for index, text in enumerate(table.targets or ())]
    if len(table.media) == 1:
        text = f"domain {table.name!r} has a single media server: its calls end when that one dies"
        reading.mistake((*path, "media"), text, "list a second one", warning=True)
    # A warning leaves a domain usable; mistakes are counted apart from it.
    if any(not mistake.warning for mistake in reading.mistakes[before:]):
        return None
    there = tuple(target for target in targets if target is not None)
    return Domain(table.name, tuple(table.media), there, tuple(table.trunks or ()))


def _report_way(reading: Reading, path: KeyPath, table: DomainTable) -> None:
    """Where a domain's calls go: by targets of its own, by trunks, or to its users alone."""
    if table.targets is None and table.trunks is None:
        if table.name.lower() in user_domains(reading):
            return
        hint = 'say where its calls go, like targets = ["10.0.0.20:5060"], trunks = ["pbx"], or define [[users]] of it'
        reading.mistake(path, f"domains {table.name!r} has no 'targets'", hint)
    elif table.targets is not None and table.trunks is not None:
        text = f"domain {table.name!r} has 'targets' and 'trunks'"
        reading.mistake((*path, "trunks"), text, "make the targets a trunk of their own")
    if table.targets is not None:
        _report_list(reading, (*path, "targets"), table.name, table.targets)
    if table.trunks is not None:
        _report_list(reading, (*path, "trunks"), table.name, table.trunks)
        known = {trunk.name for _, trunk in reading.trunks} | reading.unread["trunks"]
        for index, name in enumerate(table.trunks):
            if name not in known:
                hint = did_you_mean(name, known) or "define it in [[trunks]]"
                text = f"domain {table.name!r} names the trunk {name!r}, which is not defined"
                reading.mistake((*path, "trunks", index), text, hint)


def _timings(reading: Reading) -> Timings:
    table = reading.timings
    if table.silence_ms_max < 2 * table.heartbeat_ms:
        text = f"silence_ms_max = {table.silence_ms_max} is less than two heartbeats of {table.heartbeat_ms} ms"
        path = ("timings", "silence_ms_max" if ("timings", "silence_ms_max") in reading.lines else "heartbeat_ms")
        reading.mistake(path, text, "one lost datagram would move every call; three or more heartbeats are usual")
    _report_session(reading)
    return Timings(
        heartbeat_ms=table.heartbeat_ms,
        silence_ms_max=table.silence_ms_max,
        hold_down_ms=table.hold_down_ms,
        probe_ms=table.probe_ms,
        ring_s_max=table.ring_s_max,
        drain_s_max=table.drain_s_max,
        session_s=table.session_s,
        session_s_min=table.session_s_min,
        takeover_ms_max=table.takeover_ms_max,
        hang_s_max=table.hang_s_max,
    )


def _sip(reading: Reading) -> SipSettings:
    for index, written in enumerate(reading.sip.trusted):
        if not is_ip(written):
            reading.mistake(("sip", "trusted", index), f"{written!r} is not an IP address", "names are not looked up")
    if reading.sip.t2_ms < reading.sip.t1_ms:
        path = ("sip", "t2_ms" if ("sip", "t2_ms") in reading.lines else "t1_ms")
        text = f"t2_ms = {reading.sip.t2_ms} is less than t1_ms = {reading.sip.t1_ms}"
        reading.mistake(path, text, "it is the longest interval between repetitions, and T1 the first")
    return SipSettings(**msgspec.structs.asdict(reading.sip))


def _name_servers(reading: Reading) -> tuple[Address, ...]:
    parsed = [_parsed(reading, ("dns", "servers", n), text, 53) for n, text in enumerate(reading.dns.servers)]
    return tuple(address for address in parsed if address is not None)


def _report_session(reading: Reading) -> None:
    """RFC 4028 section 5 allows no interval below 90 seconds; a test bench may have its reasons."""
    table = reading.timings
    if table.session_s < table.session_s_min:
        path = ("timings", "session_s" if ("timings", "session_s") in reading.lines else "session_s_min")
        text = f"session_s = {table.session_s} is less than session_s_min = {table.session_s_min}"
        reading.mistake(path, text, "NeTS would refuse what it asks for itself")
    elif table.session_s_min < SESSION_S_MIN:
        text = f"session_s_min = {table.session_s_min} is less than the {SESSION_S_MIN} s of RFC 4028"
        reading.mistake(("timings", "session_s_min"), text, "parties may have to refresh very often", warning=True)


def _report_list(reading: Reading, path: KeyPath, domain: str, names: list[str]) -> None:
    what = path[-1]
    if not names:
        consequence = "its calls could get no media" if what == "media" else "its calls could go nowhere"
        reading.mistake(path, f"the list {what!r} of domain {domain!r} is empty: {consequence}", "name at least one")
    for index, name in enumerate(names):
        if name in names[:index]:
            reading.mistake((*path, index), f"domain {domain!r} lists {name!r} twice", "the order is what counts")


def _report_loops(reading: Reading, site: Site) -> None:
    """A target that is NeTS itself would send a call round until Max-Forwards ends it."""
    report_circles(reading, {(one.transport, one.address): nets.name for nets in site.nets for one in nets.listeners})


def _report_unused(reading: Reading, site: Site) -> None:
    if any(not mistake.warning for mistake in reading.mistakes):
        return  # a list that could not be read may have used them
    listed = {name for _, domain in reading.domains for name in domain.media}
    for path, table in reading.media:
        if table.name not in listed:
            reading.mistake(path, f"media {table.name!r} is in no domain's list, so no call uses it", warning=True)
    named = {name for _, domain in reading.domains for name in domain.trunks or ()}
    for path, trunk in reading.trunks:
        if trunk.name not in named:
            reading.mistake(path, f"no domain names trunk {trunk.name!r}, so no call uses it", warning=True)
    if site.nets and not reading.document.get("domains"):
        reading.mistake((), "there are no [[domains]]: every call is answered 404", warning=True)


def _host(reading: Reading, path: KeyPath, name: str, hosts: dict[str, Host]) -> Host | None:
    if name not in hosts and name not in reading.unread["hosts"]:
        hint = did_you_mean(name, hosts) or "define it in [[hosts]]"
        reading.mistake((*path, "host"), f"unknown host {name!r}", hint)
    return hosts.get(name)


def _own_address(host: Host | None) -> tuple[str, ...]:
    return (host.address,) if host is not None and host.address is not None else ()


def _address(reading: Reading, path: KeyPath, written: str | None, host: Host | None, port: int) -> Address | None:
    """The address a part listens on; left out, it is the host's own with the usual port."""
    if written is not None:
        return _parsed(reading, path, written, port)
    if host is not None and host.address is not None:
        return Address(host.address, port) if is_ip(host.address) else None
    kind, _, key = path
    # A host that is named but unknown is a mistake already, and its address may have been meant.
    if host is not None or (*path[:2], "host") not in reading.lines:
        reading.mistake(path, f"this [[{kind}]] has no {key!r}", f'write {key} = "IP:{port}"')
    return None


def _parsed(reading: Reading, path: KeyPath, written: str, default_port: int) -> Address | None:
    try:
        address = Address.parse(written, default_port)
    except AddressError as error:
        reading.mistake(path, str(error))
        return None
    if not is_ip(address.host):
        reading.mistake(path, f"{address.host!r} is not an IP address", "names are not looked up")
        return None
    if address.port == 0:
        reading.mistake(path, f"{written!r} has port 0", "others must be able to name the port")
        return None
    return address


def _port_range(reading: Reading, path: KeyPath, written: str) -> tuple[int, int] | None:
    try:
        return parse_ports(written)
    except ValueError as error:
        reading.mistake((*path, "ports"), f"ports {written!r}: {error}", "write FIRST-LAST, like 20000-29999")
        return None
