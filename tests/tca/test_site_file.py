"""A site file that is right becomes a site; of one that is wrong, everything wrong is named, with what was meant."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.model.address import Address
from mediaha.tca import SiteMistakes, load_site, site_from_text

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "site.toml"

RIGHT = """\
name = "right"
[[hosts]]
name = "alpha"
address = "127.0.0.1"
[[media]]
name = "media-1"
host = "alpha"
ports = "30000-30999"
[[media]]
name = "media-2"
host = "alpha"
ng = "127.0.0.1:2224"
ports = "31000-31999"
[[nets]]
name = "nets-1"
host = "alpha"
[[domains]]
name = "*"
media = ["media-1", "media-2"]
targets = ["127.0.0.1:5070"]
"""


def mistakes(text):
    """What is said about a text that must not be accepted."""
    with pytest.raises(SiteMistakes) as caught:
        site_from_text(text, "site.toml")
    return caught.value.lines()


def warnings(text):
    return [f"{warning.line}: {warning}" for warning in site_from_text(text)[1]]


def test_the_example_is_right_and_nothing_about_it_is_odd():
    site, odd = load_site(EXAMPLE)
    assert odd == ()
    assert site.domain("SALES.example.test").media == ("media-alpha", "media-beta", "rtpengine")
    assert site.domain("anything.else").name == "*"
    foreign = next(media for media in site.media if media.name == "rtpengine")
    assert not foreign.managed


def test_what_is_left_out_comes_from_the_host():
    site, _ = site_from_text(RIGHT)
    assert site.media[0].ng == Address("127.0.0.1", 2223)
    assert site.media[0].interfaces == ("127.0.0.1",)
    assert site.nets[0].listen == Address("127.0.0.1", 5060)


def test_all_mistakes_are_reported_at_once_each_with_its_line():
    text = (
        RIGHT.replace("address =", "adress =")
        .replace('"media-2"]', '"media-3"]')
        .replace("[[nets]]", "[[nets]]\nx = 1")
    )
    assert mistakes(text) == [
        "site.toml:4: unknown key 'adress' in hosts; did you mean 'address'?",
        "site.toml:15: unknown key 'x' in nets; known here: advertised, callers, host, listen, name, tls_authorities, "
        "tls_certificate, tls_client_authorities, tls_key, tls_verify",
        "site.toml:20: domain '*' lists 'media-3', which is not defined; did you mean 'media-2'?",
    ]


def one(text):
    found = mistakes(text)
    assert len(found) == 1, found
    return found[0]


def changed(old, new):
    assert old in RIGHT
    return RIGHT.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed('name = "media-2"', 'name = "media-1"'), "10: media 'media-1' is defined twice; first in line 6"),
        (changed('host = "alpha"', 'host = "alhpa"'), "7: unknown host 'alhpa'; did you mean 'alpha'?"),
        (changed("2224", "2223"), "12: media 'media-2' ng wants 127.0.0.1 port 2223, but media 'media-1' ng"),
        (changed("31000-31999", "30999-31999"), "13: media 'media-2' RTP wants 127.0.0.1 ports 30999-31999, but"),
        (changed("31000-31999", "31000"), "13: ports '31000': not a range of ports; write FIRST-LAST"),
        (changed("31000-31999", "31999-31000"), "13: ports '31999-31000': a range goes upwards"),
        (changed("31000-31999", "31000-31001"), "13: ports '31000-31001': one call needs 4 ports"),
        (changed('["media-1", "media-2"]', "[]"), "19: the list 'media' of domain '*' is empty"),
        (changed('["127.0.0.1:5070"]', "[]"), "20: the list 'targets' of domain '*' is empty"),
        (changed('targets = ["127.0.0.1:5070"]', ""), "17: domains '*' has no 'targets'; say where its calls go"),
        (changed("127.0.0.1:5070", "127.0.0.1:5060"), "20: the target 127.0.0.1:5060 of domain '*' is nets 'nets-1'"),
        (changed("127.0.0.1:5070", "10.0.0.300:5070"), "20: '10.0.0.300:5070' is no target: '10.0.0.300' is"),
        (changed("127.0.0.1:5070", "127.0.0.1:port"), "20: '127.0.0.1:port' is no target: port is not a number"),
        (changed("127.0.0.1:5070", "127.0.0.1:0"), "20: '127.0.0.1:0' has port 0"),
        (changed('"media-2"]', '"media-1"]'), "19: domain '*' lists 'media-1' twice"),
        (changed('"31000-31999"', "31000"), "13: 'ports': expected text, found 31000"),
        (changed('["127.0.0.1:5070"]', '"127.0.0.1:5070"'), "20: 'targets': expected a list, found '127.0.0.1:5070'"),
        (changed('["127.0.0.1:5070"]', '[\n"127.0.0.1:5070",\n5071]'), "22: 'targets': expected text"),
        (changed('ports = "30000-30999"', "workers = 0"), "8: 'workers': expected a whole number >= 1, found 0"),
        (changed('ports = "30000-30999"', 'interfaces = ["x/300.1.1.1"]'), "8: interface 'x/300.1.1.1': '300.1.1.1'"),
        (changed('ports = "30000-30999"', 'datapath = "steerd"'), "8: 'datapath': "),
        (changed('ports = "30000-30999"', "managed = 1"), "8: 'managed': expected true or false, found 1"),
        (RIGHT + "[timings]\nsession_s = 60\n", "22: session_s = 60 is less than session_s_min = 90"),
        (RIGHT + "[timings]\nsilence_ms_max = 60\n", "22: silence_ms_max = 60 is less than two heartbeats of 50 ms"),
        (RIGHT + '[timings]\ndrain_s_max = "soon"\n', "22: 'drain_s_max': expected a number, found 'soon'"),
        (changed('name = "right"', "name = right"), "1: not TOML: Invalid value"),
        (RIGHT + "[[domains]\n", "21: not TOML"),
        (RIGHT + "[[domains]]\n" * 2 + 'name="a"\nmedia="b"\ntargets=["127.0.0.1"]', "21"),
        (changed('[[nets]]\nname = "nets-1"\nhost = "alpha"', '[nets]\nname = "nets-1"'), "14: [nets] is a list"),
        (changed("[[nets]]", '[[nets]]\nlisten = "0.0.0.0:5060"'), "15: nets 'nets-1' listens on every address"),
        (changed("2224", "31500"), "13: media 'media-2' RTP wants 127.0.0.1 ports 31000-31999, but"),
        ('name = "empty"\n', "site.toml: there is nothing to run"),
        ("media = 3\n", "1: 'media' is a list of tables"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_a_way_out(text, said):
    found = mistakes(text)
    assert any(line.startswith((f"site.toml:{said}", said)) for line in found), found


def test_a_mistake_in_one_table_makes_no_further_ones_where_it_is_used():
    """A misspelt key keeps media-2 out of the site, but the domain that lists it is right."""
    assert one(changed('ng = "127.0.0.1:2224"', 'nq = "127.0.0.1:2224"')) == (
        "site.toml:12: unknown key 'nq' in media; did you mean 'ng'?"
    )


def test_loopback_ports_of_two_hosts_do_not_meet():
    text = RIGHT.replace("[[media]]", '[[hosts]]\nname = "beta"\naddress = "127.0.0.2"\n[[media]]', 1)
    text = text.replace('host = "alpha"\nng = "127.0.0.1:2224"', 'host = "beta"\nng = "127.0.0.1:2223"')
    site, _ = site_from_text(text)
    assert len(site.media) == 2


def test_a_list_of_one_and_a_server_in_no_list_are_odd_but_work():
    assert warnings(changed('["media-1", "media-2"]', '["media-1"]')) == [
        "9: warning: media 'media-2' is in no domain's list, so no call uses it",
        "19: warning: domain '*' has a single media server: its calls end when that one dies; list a second one",
    ]


def test_an_interval_against_the_rfc_is_odd():
    odd = warnings(RIGHT + "[timings]\nsession_s = 60\nsession_s_min = 30\n")
    assert [line for line in odd if "RFC 4028" in line] == odd
    assert odd[0].startswith("23:")


def test_a_site_is_the_same_from_wherever_its_file_is_named(tmp_path, monkeypatch):
    """A reload reads it by its whole name: no path in it may seem to have changed."""
    (tmp_path / "site.toml").write_text('state = "state"\n' + RIGHT)
    monkeypatch.chdir(tmp_path)
    assert load_site(Path("site.toml")) == load_site(tmp_path / "site.toml")


def test_a_file_that_cannot_be_read_is_said_plainly(tmp_path):
    for content, said in [
        (None, "cannot be read: no such file"),
        (b"\xff\n", ":1: is not UTF-8"),
        (b" " * (1 << 21), "larger"),
    ]:
        file = tmp_path / "site.toml"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SiteMistakes, match=said):
            load_site(file)


@given(st.text(max_size=200))
def test_any_text_is_a_site_or_a_list_of_mistakes(text):
    try:
        site_from_text(text)
    except SiteMistakes as said:
        found = said.mistakes
    else:
        return
    assert found


@given(st.data())
def test_a_right_file_with_lines_lost_or_doubled_never_breaks_the_reader(data):
    lines = RIGHT.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        if data.draw(st.booleans()):
            lines.insert(index, lines[data.draw(st.integers(0, len(lines) - 1))])
        elif len(lines) > 1:
            del lines[index]
    try:
        _, found = site_from_text("\n".join(lines))
    except SiteMistakes as said:
        found = said.mistakes
    assert all(0 <= mistake.line <= len(lines) + 1 for mistake in found)
