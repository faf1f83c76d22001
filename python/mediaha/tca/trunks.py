"""What the ``[[trunks]]`` of a site file mean, and the mistakes in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mediaha.model.address import Address
from mediaha.model.site import Site
from mediaha.model.trunk import Credentials, Redirects, Trunk, WhenDown
from mediaha.sip.errors import Malformed
from mediaha.sip.resolve.locate import literal_target
from mediaha.sip.target import TRANSPORTS, UDP, Target
from mediaha.sip.uri import Uri, uri_untrusted
from mediaha.tca.addresses import is_ip, local_address
from mediaha.tca.hashes import HASH_LENGTHS, report_hash
from mediaha.tca.lines import KeyPath
from mediaha.tca.reading import Reading
from mediaha.tca.schema import TrunkTable

ANSWERS = frozenset({486, 600, 603})
"""Busy and declined: the callee has been reached, so another target is of no use."""
HASH_HINT = "H(username:realm:secret), as `mediaha hash-secret USERNAME@DOMAIN --realm REALM` makes it"
ADDRESS = 'say who we are there, like register = "sip:office@carrier.example.test"'
SHOWN = "write IP:PORT, a domain name, or a SIP URI like sip:pbx.example.test;transport=tcp"


def checked_trunks(reading: Reading) -> tuple[Trunk, ...]:
    """The trunks that can be used; what is wrong with the others is added to the reading's mistakes."""
    return tuple(trunk for path, table in reading.trunks if (trunk := _trunk(reading, path, table)) is not None)


def checked_target(reading: Reading, path: KeyPath, written: str) -> Address | str | None:
    """A target that a domain names itself: an address, over UDP, or a SIP URI. None, and a mistake: neither."""
    uri = _uri(written)
    if isinstance(uri, str):
        reading.mistake(path, uri, SHOWN)
        return None
    if uri.port == 0:
        reading.mistake(path, f"{written!r} has port 0", "a call must go somewhere")
        return None
    target = literal_target(uri)
    return target.address if target is not None and target == Target(UDP, target.address) else str(uri)


def report_circles(reading: Reading, listening: Mapping[tuple[str, Address], str]) -> None:
    """A target that is a NeTS of the site would send a call round until Max-Forwards ends it."""
    for path, what, written, target in _literals(reading):
        name = listening.get((target.transport, target.address))
        if name is not None:
            text = f"the target {written} of {what} is nets {name!r} itself"
            reading.mistake(path, text, "its calls would go in a circle")


def report_unreachable(reading: Reading, site: Site) -> None:
    """A target over a transport that no NeTS of the site has, or of an address family that none reaches."""
    have = {(one.transport, ":" in one.address.host) for nets in site.nets for one in nets.listeners}
    if not have or reading.unread["nets"]:
        return
    for path, what, written, target in _literals(reading):
        ipv6 = ":" in target.address.host
        if (target.transport, ipv6) not in have:
            text = f"no NeTS listens with {target.transport} on IPv{6 if ipv6 else 4}"
            hint = "name one in listen of [[nets]]"
            reading.mistake(path, f"{text}, so none reaches the target {written} of {what}", hint, warning=True)


def report_without_media(reading: Reading, site: Site) -> None:
    """A target of an address family that no media server of the domain has: its calls are refused with 488.

    Of a server that is not ours to start, it is not known what it has.
    """
    servers = {server.name: server for server in site.media}
    for path, domain in reading.domains:
        listed = [servers[name] for name in domain.media if name in servers]
        if not listed or not all(server.managed and server.interfaces for server in listed):
            continue
        have = {":" in local_address(written) for server in listed for written in server.interfaces}
        ways = {f"domain {domain.name!r}", *(f"trunk {name!r}" for name in domain.trunks or ())}
        for _, what, written, target in _literals(reading):
            ipv6 = ":" in target.address.host
            if what in ways and ipv6 not in have:
                text = f"no media server of domain {domain.name!r} has an IPv{6 if ipv6 else 4} address"
                hint = "add one to interfaces of [[media]]"
                reading.mistake((*path, "media"), f"{text}, so calls to {written} get no media", hint, warning=True)


def _literals(reading: Reading) -> Iterator[tuple[KeyPath, str, str, Target]]:
    """Every target of the file that is an IP address: where it stands, whose it is, as written and as meant."""
    tables = [(path, f"trunk {trunk.name!r}", trunk.targets) for path, trunk in reading.trunks]
    tables += [(path, f"domain {domain.name!r}", domain.targets or []) for path, domain in reading.domains]
    for path, what, targets in tables:
        for index, written in enumerate(targets):
            uri = _uri(written)
            target = literal_target(uri) if isinstance(uri, Uri) else None
            if target is not None:
                yield (*path, "targets", index), what, written, target


def _trunk(reading: Reading, path: KeyPath, table: TrunkTable) -> Trunk | None:
    before = len(reading.mistakes)
    where = (*path, "targets")
    if not table.targets:
        reading.mistake(where, f"trunk {table.name!r} leads nowhere", "name at least one target")
    uris: list[str] = []
    for index, written in enumerate(table.targets):
        uri = _uri(written)
        if isinstance(uri, str):
            reading.mistake((*where, index), uri, SHOWN)
        elif str(uri) in uris:
            reading.mistake(
                (*where, index), f"trunk {table.name!r} lists {written!r} twice", "the order is what counts"
            )
        else:
            uris.append(str(uri))
    _report_checks(reading, path, table)
    _report_credentials(reading, path, table)
    _report_registration(reading, path, table)
    if len(reading.mistakes) > before:
        return None
    return Trunk(
        name=table.name,
        targets=tuple(uris),
        check_s=table.check_s,
        suspect_check_s=table.suspect_check_s,
        try_s_max=table.try_s_max,
        failures=tuple(table.failures),
        down_after=table.down_after,
        up_after=table.up_after,
        when_down=WhenDown(table.when_down),
        trusted=table.trusted,
        history=table.trusted if table.history is None else table.history,
        redirects=Redirects(table.redirects),
        credentials=_credentials(reading, table),
        register=table.register,
        register_s=table.register_s,
    )


def _report_checks(reading: Reading, path: KeyPath, table: TrunkTable) -> None:
    if 0 < table.check_s < table.suspect_check_s:
        text = f"suspect_check_s = {table.suspect_check_s:g} is more than check_s = {table.check_s:g}"
        key = "suspect_check_s" if (*path, "suspect_check_s") in reading.lines else "check_s"
        reading.mistake((*path, key), text, "a target in doubt is asked more often, not less")
    for index, status in enumerate(table.failures):
        if status in ANSWERS:
            text = f"trunk {table.name!r}: {status} is the callee's answer, not a failure of the target"
            reading.mistake((*path, "failures", index), text, "the next target would ring the same callee")


def _bracketed(written: str) -> str:
    """An IPv6 address as a URI writes it."""
    return f"[{written}]" if is_ip(written) and ":" in written else written


def _report_credentials(reading: Reading, path: KeyPath, table: TrunkTable) -> None:
    """Who we are, and one way to prove it."""
    secrets = [key for key in ("secret_file", "secret_env") if getattr(table, key) is not None]
    hashes = [key for key in HASH_LENGTHS if getattr(table, key) is not None]
    given = [*secrets, *hashes]
    if table.username is None:
        if given or table.realm is not None:
            key = given[0] if given else "realm"
            reading.mistake((*path, key), f"trunk {table.name!r} has {key!r} and no 'username'", "say whose it is")
        return
    if not given:
        hint = "name a file that holds the secret (secret_file), a variable (secret_env), or give its hashes"
        reading.mistake((*path, "username"), f"trunk {table.name!r} has a username and no secret", hint)
    elif len(secrets) > 1 or (secrets and hashes):
        text = f"trunk {table.name!r} has {given[0]!r} and {given[1]!r}"
        reading.mistake((*path, given[1]), text, "one is enough; leave the other out")
    for key in hashes:
        report_hash(reading, (*path, key), f"trunk {table.name!r}", getattr(table, key), HASH_HINT)
    if hashes and table.realm is None:
        text = f"trunk {table.name!r} has {hashes[0]!r} and no 'realm'"
        reading.mistake((*path, hashes[0]), text, "a hash is good for the realm alone that it was made with")


def _report_registration(reading: Reading, path: KeyPath, table: TrunkTable) -> None:
    where = (*path, "register")
    if table.register is None:
        if (*path, "register_s") in reading.lines:
            reading.mistake((*path, "register_s"), f"trunk {table.name!r} has 'register_s' and no 'register'", ADDRESS)
        return
    try:
        uri = uri_untrusted(table.register)
    except Malformed as fault:
        reading.mistake(where, f"{table.register!r} is no address: {fault}", ADDRESS)
        return
    if uri.scheme != "sip" or not uri.user or uri.headers:
        reading.mistake(where, f"{table.register!r} is no address that can be registered", ADDRESS)


def _credentials(reading: Reading, table: TrunkTable) -> Credentials | None:
    if table.username is None:
        return None
    return Credentials(
        username=table.username,
        realm=table.realm,
        secret_file=reading.folder / table.secret_file if table.secret_file is not None else None,
        secret_env=table.secret_env,
        md5=table.md5.lower() if table.md5 is not None else None,
        sha256=table.sha256.lower() if table.sha256 is not None else None,
    )


def _uri(written: str) -> Uri | str:
    """A target as a URI, or what is wrong with it."""
    text = written if written.lower().startswith(("sip:", "sips:")) else f"sip:{_bracketed(written)}"
    try:
        uri = uri_untrusted(text)
    except Malformed as fault:
        return f"{written!r} is no target: {fault}"
    if set(uri.host) <= set("0123456789.") and not is_ip(uri.host):
        return f"{written!r} is no target: {uri.host!r} is not an IP address"
    if uri.user is not None:
        return f"{written!r} names a user; a target is where all users of the trunk are"
    if uri.headers:
        return f"{written!r} has headers after its question mark"
    if uri.transport() not in {None, *TRANSPORTS}:
        return f"{written!r}: there is no transport {uri.parameter('transport')!r} here, only udp, tcp and tls"
    return uri
