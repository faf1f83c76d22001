"""``mediaha check-config``: is this site file right?"""

from __future__ import annotations

from pathlib import Path


def check_config(site: Path, /) -> int:
    """Check a site file and report every mistake with its line and what was probably meant.

    Nothing is started. The exit status is 0 when the file can be used (warnings are no obstacle), 1 when not.

    Example: mediaha check-config site.toml

    Parameters
    ----------
    site
        The file to check. Its keys are described in docs/site.md.
    """
    from mediaha.tca import SiteMistakes, load_site  # noqa: PLC0415 - keeps --help quick
    from mediaha.tca.mistakes import placed  # noqa: PLC0415

    try:
        found, warnings = load_site(site)
    except SiteMistakes as mistakes:
        for line in mistakes.lines():
            print(line)
        count = sum(not mistake.warning for mistake in mistakes.mistakes)
        print(f"{count} mistake{'s' if count != 1 else ''}; the file cannot be used")
        return 1
    for warning in warnings:
        print(placed(str(site), warning))
    counts = f"{len(found.hosts)} hosts, {len(found.media)} media servers, {len(found.nets)} NeTS"
    print(f"{site}: site {found.name!r} is fine: {counts}, {len(found.domains)} domains")
    return 0
