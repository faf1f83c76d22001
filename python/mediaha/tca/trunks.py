"""What the ``[[trunks]]`` of a site file mean, and the mistakes in them."""

from __future__ import annotations

from collections.abc import Mapping

from mediaha.model.address import Address
from mediaha.model.trunk import Trunk, WhenDown
from mediaha.sip.errors import Malformed
from mediaha.sip.resolve.locate import literal_target
from mediaha.sip.target import TRANSPORTS
from mediaha.sip.uri import Uri, uri_untrusted
from mediaha.tca.lines import KeyPath
from mediaha.tca.reading import Reading
from mediaha.tca.schema import TrunkTable

ANSWERS = frozenset({486, 600, 603})
"""Busy and declined: the callee has been reached, so another target is of no use."""
SHOWN = "write IP:PORT, a domain name, or a SIP URI like sip:pbx.example.test;transport=tcp"


def checked_trunks(reading: Reading) -> tuple[Trunk, ...]:
    """The trunks that can be used; what is wrong with the others is added to the reading's mistakes."""
    return tuple(trunk for path, table in reading.trunks if (trunk := _trunk(reading, path, table)) is not None)


def report_circles(reading: Reading, listening: Mapping[Address, str]) -> None:
    """A target that is a NeTS of the site would send a call round until Max-Forwards ends it."""
    for path, table in reading.trunks:
        for index, written in enumerate(table.targets):
            uri = _uri(written)
            target = literal_target(uri) if isinstance(uri, Uri) else None
            if target is not None and target.address in listening:
                text = f"the target {written} of trunk {table.name!r} is nets {listening[target.address]!r} itself"
                reading.mistake((*path, "targets", index), text, "its calls would go in a circle")


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


def _uri(written: str) -> Uri | str:
    """A target as a URI, or what is wrong with it."""
    text = written if written.lower().startswith(("sip:", "sips:")) else f"sip:{written}"
    try:
        uri = uri_untrusted(text)
    except Malformed as fault:
        return f"{written!r} is no target: {fault}"
    if uri.user is not None:
        return f"{written!r} names a user; a target is where all users of the trunk are"
    if uri.headers:
        return f"{written!r} has headers after its question mark"
    if uri.transport() not in {None, *TRANSPORTS}:
        return f"{written!r}: there is no transport {uri.parameter('transport')!r} here, only udp, tcp and tls"
    return uri
