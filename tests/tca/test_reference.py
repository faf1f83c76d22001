"""docs/site.md says what the schema says."""

import re
from pathlib import Path

import msgspec
import pytest

from mediaha.tca import schema, site_from_text

REFERENCE = (Path(__file__).resolve().parents[2] / "docs" / "site.md").read_text()
SECTIONS = {
    "[[hosts]]": schema.HostTable,
    "[[media]]": schema.MediaTable,
    "[[nets]]": schema.NetsTable,
    "[[trunks]]": schema.TrunkTable,
    "[[domains]]": schema.DomainTable,
    "[[users]]": schema.UserTable,
    "[timings]": schema.TimingsTable,
    "[sip]": schema.SipTable,
    "[dns]": schema.DnsTable,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_described_with_its_default(heading):
    section = REFERENCE.partition(f"\n## `{heading}`\n")[2].partition("\n## ")[0]
    described = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE))
    fields = {field.name: field for field in msgspec.structs.fields(SECTIONS[heading])}
    assert described.keys() == fields.keys()
    for name, field in fields.items():
        if field.default not in (None, msgspec.NODEFAULT):
            written = described[name].strip("`\"'")
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            numbers = (f"{default:g}",) if isinstance(default, float) else ()
            assert written in (str(default), str(default).lower(), *numbers), name


def test_the_smallest_site_is_right():
    text = re.search(r"```toml\n(.*?)```", REFERENCE, re.DOTALL)[1]
    site, odd = site_from_text(text)
    assert odd == ()
    assert len(site.media) == 2
