"""The site without a file."""

from itertools import pairwise

import pytest

from mediaha.cli.plan import standalone
from mediaha.model.address import Address
from mediaha.tca import standalone_site
from mediaha.tca.standalone import StandaloneError


def test_two_media_servers_share_the_ports_and_back_each_other_up():
    site = standalone_site()
    assert [str(media.ng) for media in site.media] == ["127.0.0.1:2223", "127.0.0.1:2224"]
    assert [media.ports for media in site.media] == [(20000, 24999), (25000, 29999)]
    assert site.domain("example.test").media == ("media-1", "media-2")
    assert site.domain("example.test").targets == (Address("127.0.0.1", 5070),)


def test_it_takes_calls_by_udp_and_tcp_at_one_port_unless_one_is_named():
    assert [str(one) for one in standalone_site().nets[0].listeners] == ["127.0.0.1:5060/udp", "127.0.0.1:5060/tcp"]
    for written, listening in [
        ("tcp:127.0.0.1:5080", ["127.0.0.1:5080/tcp"]),
        ("UDP:[::1]", ["[::1]:5060/udp"]),
        ("[::1]:5080", ["[::1]:5080/udp", "[::1]:5080/tcp"]),
        (None, ["127.0.0.1:5060/udp", "127.0.0.1:5060/tcp"]),
    ]:
        site = standalone(
            listen=written, targets=None, callers=None, ng_port=None, media=None, ports=None, datapath=None
        )
        assert [str(one) for one in site.nets[0].listeners] == listening


def test_all_its_media_servers_have_the_datapath_that_is_asked_for():
    assert [media.datapath for media in standalone_site().media] == ["auto", "auto"]
    assert [media.datapath for media in standalone_site(datapath="sockets", media=3).media] == ["sockets"] * 3


@pytest.mark.parametrize("ports", [(30001, 30099), (30000, 30098)])
def test_every_share_of_the_ports_begins_at_an_even_one_and_ends_before_the_next(ports):
    shares = [media.ports for media in standalone_site(media=3, ports=ports).media]
    assert all(first % 2 == 0 and last % 2 == 1 for first, last in shares)
    assert all(one[1] < other[0] for one, other in pairwise(shares))
    assert shares[-1][1] <= ports[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"media": 0}, "--media 0"),
        ({"ports": (30000, 30006)}, "--ports 30000-30006 is too narrow"),
        ({"ng_port": 65535}, "--ng-port 65535"),
        ({"listen": Address("127.0.0.1", 2224)}, "meet --listen 127.0.0.1:2224"),
        ({"targets": (Address("127.0.0.1", 5060),)}, "in a circle"),
        ({"listen": Address("0.0.0.0", 5060)}, "others can reach"),
        ({"targets": (Address("::1", 5070),)}, "mix IPv4 and IPv6"),
    ],
)
def test_options_that_make_no_site_are_named(options, said):
    with pytest.raises(StandaloneError, match=said):
        standalone_site(**options)
