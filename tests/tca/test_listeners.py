"""Where a NeTS listens: every way to write it, and what is said about those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediaha.model.address import Address
from mediaha.model.listener import TCP, TLS, UDP, Listener, Tls
from mediaha.tca import SiteMistakes, site_from_text

SITE = """\
[[hosts]]
name = "alpha"
address = "192.0.2.11"
[[media]]
name = "media-1"
host = "alpha"
ports = "30000-30999"
[[media]]
name = "media-2"
host = "alpha"
ng = "192.0.2.11:2224"
ports = "31000-31999"
[[domains]]
name = "*"
media = ["media-1", "media-2"]
targets = ["192.0.2.20"]
[[nets]]
name = "nets-1"
host = "alpha"
"""
FILES = 'tls_certificate = "a.pem"\ntls_key = "/etc/a.key"\n'
BOTH = Tls(Path("/srv/a.pem"), Path("/etc/a.key"))


def listeners(text):
    site, _ = site_from_text(SITE + text, "/srv/site.toml")
    return site.nets[0].listeners


def mistakes(text):
    with pytest.raises(SiteMistakes) as caught:
        site_from_text(SITE + text)
    return [line.removeprefix("site.toml:") for line in caught.value.lines()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [Listener(Address("192.0.2.11", 5060))]),
        ('listen = "192.0.2.11"', [Listener(Address("192.0.2.11", 5060))]),
        ('listen = "192.0.2.11:5070"', [Listener(Address("192.0.2.11", 5070))]),
        ('listen = ["UDP:192.0.2.11", "tcp:192.0.2.11:5070"]', [
            Listener(Address("192.0.2.11", 5060), UDP), Listener(Address("192.0.2.11", 5070), TCP),
        ]),
        ('listen = ["2001:db8::11", "udp:[2001:db8::12]:5070", "tcp:2001:db8::11", "fe::1"]', [
            Listener(Address("2001:db8::11", 5060)), Listener(Address("2001:db8::12", 5070)),
            Listener(Address("2001:db8::11", 5060), TCP), Listener(Address("fe::1", 5060)),
        ]),
        ('listen = "0.0.0.0:5060!203.0.113.7"', [Listener(Address("0.0.0.0", 5060), UDP, "203.0.113.7")]),
        ('listen = ["0.0.0.0", "tcp:0.0.0.0!b.test"]\nadvertised = "a.test"', [
            Listener(Address("0.0.0.0", 5060), UDP, "a.test"), Listener(Address("0.0.0.0", 5060), TCP, "b.test"),
        ]),
        ('listen = ["192.0.2.11", "2001:db8::11"]\nadvertised = "203.0.113.7"', [
            Listener(Address("192.0.2.11", 5060), UDP, "203.0.113.7"), Listener(Address("2001:db8::11", 5060)),
        ]),
        (FILES + 'listen = ["tls:192.0.2.11", "tls:192.0.2.11:5081!a.test"]', [
            Listener(Address("192.0.2.11", 5061), TLS, tls=BOTH),
            Listener(Address("192.0.2.11", 5081), TLS, "a.test", tls=BOTH),
        ]),
    ],
)  # fmt: skip
def test_listeners_are_read(text, found):
    assert list(listeners(text)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('listen = "ucp:192.0.2.11"', "20: 'ucp:192.0.2.11': there is no transport 'ucp'; did you mean 'udp'?"),
        ('listen = ["192.0.2.11", "sctp:192.0.2.11"]', "20: 'sctp:192.0.2.11': there is no transport 'sctp'; "),
        ('listen = "alpha.test:5060"', "20: 'alpha.test' is not an IP address; names are not looked up"),
        ('listen = "192.0.2.11:0"', "20: '192.0.2.11:0' has port 0"),
        ('listen = "fe80::1%eth0"', "20: fe80::1%eth0 is a link-local address; nobody beyond"),
        ('listen = "udp:"', "20: '' is not an address; write HOST:PORT"),
        ("listen = []", "20: the list 'listen' of nets 'nets-1' is empty; write [TRANSPORT:]IP[:PORT]"),
        ('listen = ["192.0.2.11",\n"udp:192.0.2.11:5060"]', "21: nets 'nets-1' listens on 192.0.2.11:5060/udp twice"),
        (FILES + 'listen = ["tcp:192.0.2.11", "tls:192.0.2.11:5060"]', "22: nets 'nets-1' listens on 192.0.2.11"),
        ('listen = "tls:192.0.2.11"', "20: nets 'nets-1' listens with TLS and has no certificate; write tls_certific"),
        ('listen = "tls:192.0.2.11"\ntls_key = "a"', "21: nets 'nets-1' has 'tls_key' and no 'tls_certificate'"),
        ('listen = "tcp:0.0.0.0"', "20: nets 'nets-1' listens on every address, so it must say which one others"),
        ('listen = "192.0.2.11!2001:db8::1"', "20: '192.0.2.11!2001:db8::1' mixes IPv4 and IPv6"),
        ('listen = "0.0.0.0!"', "20: '0.0.0.0!': the advertised '' is neither an IP address nor a host name"),
        ('advertised = "sip.example.test:5060"', "20: 'sip.example.test:5060' is neither an IP address nor a host"),
        ("listen = 5060", "20: 'listen': expected text or a list, found 5060"),
        ('listen = ["tcp:192.0.2.11:5060", "192.0.2.11:2223"]', "20: nets 'nets-1' SIP wants 192.0.2.11 port 2223, b"),
        ("[sip]\nt1_ms = 0", "21: 't1_ms': expected a whole number >= 10, found 0"),
        ("[sip]\nt1_ms = 5000", "21: t2_ms = 4000 is less than t1_ms = 5000"),
        ('[sip]\ntrusted = ["pbx.test"]', "21: 'pbx.test' is not an IP address"),
        ("[sip]\nt1 = 500", "21: unknown key 't1' in sip; did you mean 't1_ms'?"),
        ('[dns]\nservers = ["ns.test"]', "21: 'ns.test' is not an IP address; names are not looked up"),
        ('listen = "tcp:192.0.2.20"\n[[trunks]]\nname = "a"\ntargets = ["sip:192.0.2.20;transport=tcp"]',
         "23: the target sip:192.0.2.20;transport=tcp of trunk 'a' is nets 'nets-1' itself"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_a_way_out(text, said):
    found = mistakes(text)
    assert any(line.startswith(said) for line in found), found


def test_what_works_and_is_odd_is_said_too():
    text = SITE + FILES + '[[trunks]]\nname = "a"\ntargets = ["sip:192.0.2.30;transport=tls", "[2001:db8::1]"]\n'
    _, odd = site_from_text(text.replace('targets = ["192.0.2.20"]', 'trunks = ["a"]'))
    assert [f"{mistake.line}: {mistake.text}" for mistake in odd] == [
        "15: no media server of domain '*' has an IPv6 address, so calls to [2001:db8::1] get no media",
        "20: nets 'nets-1' has 'tls_certificate', but no listener of it uses TLS",
        "24: no NeTS listens with TLS on IPv4, so none reaches the target sip:192.0.2.30;transport=tls of trunk 'a'",
        "24: no NeTS listens with UDP on IPv6, so none reaches the target [2001:db8::1] of trunk 'a'",
    ]


def test_media_servers_need_an_address_of_each_family_that_calls_go_by():
    text = SITE.replace('targets = ["192.0.2.20"]', 'targets = ["192.0.2.20", "::1"]')
    text += 'listen = ["192.0.2.11", "[2001:db8::11]:5060"]\n'
    said = [mistake.text for mistake in site_from_text(text)[1] if "IPv6 address" in mistake.text]
    assert said == ["no media server of domain '*' has an IPv6 address, so calls to ::1 get no media"]
    both = text.replace('ports = "3', 'interfaces = ["192.0.2.11", "2001:db8::11"]\nports = "3', 1)
    assert not [mistake for mistake in site_from_text(both)[1] if "IPv6 address" in mistake.text]


def test_timers_limits_and_name_servers_are_read():
    site, _ = site_from_text(SITE + '[sip]\nt1_ms = 100\ntimer_b_s = 3\ntrusted = ["::1"]\n[dns]\nservers = ["::1"]\n')
    assert (site.sip.t1_ms, site.sip.timer_b_s, site.sip.trusted) == (100, 3.0, ("::1",))
    assert site.name_servers == (Address("::1", 53),)


def test_targets_of_a_domain_may_be_uris_and_names():
    written = '["192.0.2.20", "sip:192.0.2.21:5070", "sip:192.0.2.22;transport=udp", "pbx.test", "::1"]'
    text = SITE.replace('["192.0.2.20"]', written) + 'listen = ["192.0.2.11", "[2001:db8::1]"]\n'
    assert site_from_text(text)[0].domains[0].targets == (
        Address("192.0.2.20", 5060),
        Address("192.0.2.21", 5070),
        Address("192.0.2.22", 5060),
        "sip:pbx.test",
        Address("::1", 5060),
    )
