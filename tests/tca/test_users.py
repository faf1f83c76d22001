"""Users in the site file: hashed secrets, one realm a domain, and no secret in the open."""

import pytest

from mediaha.sip.auth.digest import HashedSecret
from mediaha.tca import SiteMistakes, load_site, site_from_text
from tests.tca.test_site_file import RIGHT

HASHED = HashedSecret.of("anna", "example.test", "sesame")


def users(*tables, text=RIGHT):
    written = "".join(
        "[[users]]\n" + "".join(f'{key} = "{value}"\n' for key, value in table.items()) for table in tables
    )
    return text + written


def anna(**changes):
    table = {"name": "anna", "domain": "example.test", "sha256": HASHED.sha256, "md5": HASHED.md5, **changes}
    return {key: value for key, value in table.items() if value is not None}


def one_mistake(text):
    with pytest.raises(SiteMistakes) as caught:
        site_from_text(text)
    (line,) = caught.value.lines()
    return line


def test_a_user_has_the_realm_of_the_domain_if_no_other_is_said():
    site, odd = site_from_text(users(anna(domain="Example.TEST"), anna(name="bo", domain="other.test", realm="them")))
    assert odd == ()
    assert [(user.address, user.realm) for user in site.users] == [
        ("anna@example.test", "example.test"),
        ("bo@other.test", "them"),
    ]
    assert site.users[0].sha256 == HASHED.sha256


def test_a_hash_is_not_shown_with_the_user():
    site, _ = site_from_text(users(anna()))
    assert HASHED.md5 not in repr(site)
    assert HASHED.sha256 not in repr(site)


def test_a_domain_of_users_alone_needs_no_targets():
    text = RIGHT.replace('name = "*"', 'name = "example.test"').replace('targets = ["127.0.0.1:5070"]', "")
    assert "no 'targets'" in one_mistake(text)
    assert site_from_text(users(anna(), text=text))[1] == ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (anna(sha256=None, md5=None), "neither 'sha256' nor 'md5'"),
        (anna(md5="sesame"), "'md5' is not a hash of 32 hexadecimal digits"),
        (anna(sha256=HASHED.md5), "'sha256' is not a hash of 64"),
        (anna(name="an na"), "expected the user part of a SIP URI"),
        (anna(name=None), "has no 'name'"),
        (anna(realm=""), "'realm'"),
        (anna(password="sesame"), "change this one, now it is known"),
    ],
)
def test_a_mistake_is_named_without_repeating_what_may_be_a_secret(table, said):
    line = one_mistake(users(table))
    assert said in line
    assert "sesame" not in line


def test_users_of_a_domain_nobody_has_defined():
    text = RIGHT.replace('name = "*"', 'name = "example.test"')
    assert "did you mean 'example.test'" in one_mistake(users(anna(domain="exmple.test"), text=text))


def test_a_file_that_everybody_can_read_is_warned_of(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(users(anna()))
    for mode, odd in ((0o644, 1), (0o640, 0)):
        file.chmod(mode)
        assert len(load_site(file)[1]) == odd
    file.write_text(RIGHT)
    file.chmod(0o644)
    assert load_site(file)[1] == (), "without users there is nothing to hide"


def test_a_user_twice():
    assert "is defined twice; first in line 22" in one_mistake(users(anna(), anna(domain="EXAMPLE.test")))


def test_two_realms_in_a_domain():
    assert "a domain has one realm" in one_mistake(users(anna(), anna(name="bo", realm="other")))
