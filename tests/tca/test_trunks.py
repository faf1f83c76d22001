"""Who we are at a trunk, as a site file says it: one secret, and none in the open."""

import pytest

from mediaha.model.trunk import Credentials
from mediaha.sip.auth.digest import HashedSecret
from mediaha.tca import SiteMistakes, load_site, secret_warnings, site_from_text
from tests.tca.test_site_file import RIGHT

HASHED = HashedSecret.of("nets", "carrier.test", "sesame")


def trunk(**keys):
    table = {"name": "carrier", "targets": ["192.0.2.30"], **keys}
    lines = "".join(f"{key} = {value!r}\n".replace("'", '"') for key, value in table.items())
    return RIGHT.replace('targets = ["127.0.0.1:5070"]', 'trunks = ["carrier"]') + f"[[trunks]]\n{lines}"


def credentials(**keys):
    site, odd = site_from_text(trunk(**keys), "/etc/mediaha/site.toml")
    assert odd == ()
    return site.trunks[0].credentials


def test_a_secret_is_named_not_written():
    at_home = credentials(username="nets", secret_file="carrier.secret")
    assert str(at_home.secret_file) == "/etc/mediaha/carrier.secret"
    assert str(credentials(username="nets", secret_file="/run/secret").secret_file) == "/run/secret"
    assert credentials(username="nets", secret_env="CARRIER") == Credentials("nets", secret_env="CARRIER")
    assert credentials() is None


def test_a_hash_is_not_shown():
    hashed = credentials(username="nets", realm="carrier.test", md5=HASHED.md5, sha256=HASHED.sha256)
    assert (hashed.md5, hashed.sha256) == (HASHED.md5, HASHED.sha256)
    assert HASHED.md5 not in repr(hashed)
    assert HASHED.sha256 not in repr(hashed)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"username": "nets"}, "has a username and no secret"),
        ({"secret_file": "x"}, "has 'secret_file' and no 'username'"),
        ({"realm": "x"}, "has 'realm' and no 'username'"),
        ({"username": "nets", "secret_file": "x", "secret_env": "X"}, "has 'secret_file' and 'secret_env'"),
        ({"username": "nets", "realm": "r", "secret_env": "X", "md5": HASHED.md5}, "has 'secret_env' and 'md5'"),
        ({"username": "nets", "md5": HASHED.md5}, "has 'md5' and no 'realm'"),
        ({"username": "nets", "realm": "r", "md5": "sesame"}, "'md5' is not a hash of 32 hexadecimal digits"),
        ({"username": "nets", "password": "sesame"}, "unknown key 'password'"),
    ],
)
def test_what_does_not_make_sense_is_said(keys, said):
    with pytest.raises(SiteMistakes) as caught:
        site_from_text(trunk(**keys))
    assert any(said in line for line in caught.value.lines()), caught.value.lines()


def test_a_secret_that_is_not_there_or_not_secret_is_warned_of(tmp_path):
    file, secret = tmp_path / "site.toml", tmp_path / "carrier.secret"
    file.write_text(trunk(username="nets", secret_file="carrier.secret"))

    def said():
        site, _ = load_site(file)
        return [(warning.text, warning.line) for warning in secret_warnings(file, site, "alpha")]

    line = file.read_text().splitlines().index('secret_file = "carrier.secret"') + 1
    assert said() == [(f"trunk 'carrier': {secret} cannot be read: no such file or directory", line)]
    secret.write_text("")
    secret.chmod(0o600)
    assert said() == [(f"trunk 'carrier': {secret} is empty", line)]
    secret.write_text("sesame")
    assert said() == []
    secret.chmod(0o644)
    assert said() == [(f"trunk 'carrier': everybody on this machine can read {secret}", line)]
    site, _ = load_site(file)
    assert secret_warnings(file, site, "elsewhere") == ()
