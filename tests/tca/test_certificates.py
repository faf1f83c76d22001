"""The certificate files that a site file names are looked into on the host that has them; their line is named."""

from __future__ import annotations

import pytest

from mediaha.cli.check import check_config
from mediaha.cli.plan import BadOption
from mediaha.tca import certificate_mistakes, load_site
from tests.sip.certificates import Authority, needs_openssl

pytestmark = needs_openssl

SITE = """\
[[hosts]]
name = "alpha"
address = "127.0.0.1"
[[hosts]]
name = "beta"
address = "127.0.0.2"
[[media]]
name = "media-1"
ng = "127.0.0.1:2223"
managed = false
[[nets]]
name = "plain"
host = "beta"
[[nets]]
name = "secure"
host = "alpha"
listen = "tls:127.0.0.1"
tls_certificate = "certificate.pem"
tls_key = "key.pem"
[[domains]]
name = "*"
media = ["media-1"]
trunks = ["pbx"]
[[trunks]]
name = "pbx"
targets = ["sip:127.0.0.9;transport=tls"]
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


def put(folder, issued, key=None):
    """A site file and beside it the files that it names."""
    file = folder / "site.toml"
    file.write_text(SITE)
    if issued is not None:
        (folder / "certificate.pem").write_bytes(issued.certificate.read_bytes())
        (folder / "key.pem").write_bytes((key or issued).key.read_bytes())
        (folder / "key.pem").chmod(0o600)
    return file


def said(file, host):
    return [f"{mistake.line}: {mistake}" for mistake in certificate_mistakes(file, load_site(file)[0], host)]


def test_files_that_are_there_and_right_are_nothing_to_talk_about(tmp_path, authority):
    file = put(tmp_path, authority.issue_for("20200101", "20490101", "IP:127.0.0.1"))
    assert said(file, "alpha") == []
    (tmp_path / "key.pem").chmod(0o644)
    assert said(file, "alpha") == [
        f"18: warning: nets 'secure': everybody on this machine can read {tmp_path}/key.pem; chmod o-rwx"
    ]


def test_files_that_cannot_be_used_are_named_with_the_line(tmp_path, authority):
    file = put(tmp_path, None)
    assert said(file, "beta") == [], "that host has no such NeTS"
    assert said(file, "alpha")[0].startswith(f"18: nets 'secure': {tmp_path}/certificate.pem cannot be read: No such")
    put(tmp_path, authority.issue("DNS:a.test"), key=authority.issue("DNS:b.test"))
    assert "are no certificate and its key: key values mismatch" in said(file, "alpha")[0]
    put(tmp_path, authority.issue_for("20200101", "20210101", "DNS:a.test"))
    assert said(file, "alpha") == [
        f"18: nets 'secure': {tmp_path}/certificate.pem has expired: it was valid until 2021-01-01 00:00 UTC"
    ]
    put(tmp_path, authority.issue("DNS:a.test"))
    assert "expires in 1 days; renew it, then reload" in said(file, "alpha")[0]


def test_check_config_looks_into_the_files_of_the_host_that_it_is_told(tmp_path, authority, capsys):
    file = put(tmp_path, authority.issue_for("20200101", "20210101", "DNS:a.test"))
    assert check_config(file) == 0, "which of the two hosts this is nobody knows"
    assert check_config(file, host="beta") == 0
    assert check_config(file, host="alpha") == 1
    assert f"{file}:18: nets 'secure': {tmp_path}/certificate.pem has expired" in capsys.readouterr().out
    with pytest.raises(BadOption, match="has no such host; did you mean 'alpha'"):
        check_config(file, host="alhpa")
