"""``mediaha check-config``: is this site file right?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediaha.model.site import Site
    from mediaha.tca import Mistake


def check_config(site: Path, /, *, host: str | None = None) -> int:
    """Check a site file and report every mistake with its line and what was probably meant.

    Nothing is started. The exit status is 0 when the file can be used (warnings are no obstacle), 1 when not.

    The files of certificates and secrets that the NeTS on this host needs are looked into, too.

    Example: mediaha check-config site.toml

    Parameters
    ----------
    site
        The file to check. Its keys are described in docs/site.md.
    host
        Whose files are looked into. Default: the host whose name is this machine's, or the only one.
    """
    from mediaha.tca import SiteMistakes, load_site
    from mediaha.tca.mistakes import placed

    try:
        found, warnings = load_site(site)
        warnings = (*warnings, *_certificates(site, found, host))
    except SiteMistakes as mistakes:
        for line in mistakes.lines():
            print(line)
        count = sum(not mistake.warning for mistake in mistakes.mistakes)
        print(f"{count} mistake{'s' if count != 1 else ''}; the file cannot be used")
        return 1
    for warning in warnings:
        print(placed(str(site), warning))
    counted = [
        _counted(len(found.hosts), "host", "hosts"),
        _counted(len(found.media), "media server", "media servers"),
        f"{len(found.nets)} NeTS",
        _counted(len(found.domains), "domain", "domains"),
        *([_counted(len(found.users), "user", "users")] if found.users else []),
    ]
    print(f"{site}: site {found.name!r} is fine: {', '.join(counted)}")
    return 0


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _certificates(file: Path, site: Site, named: str | None) -> tuple[Mistake, ...]:
    """Warnings about the files of one host. Raises SiteMistakes, BadOption."""
    from mediaha.cli import plan
    from mediaha.tca import SiteMistakes, certificate_mistakes, secret_warnings

    try:
        host = plan.host_of(site, named)
    except plan.BadOption:
        if named is not None:
            raise
        return ()  # it is none of the hosts that has the files
    mistakes = (*certificate_mistakes(file, site, host), *secret_warnings(file, site, host))
    if any(not mistake.warning for mistake in mistakes):
        raise SiteMistakes(str(file), mistakes)
    return mistakes
