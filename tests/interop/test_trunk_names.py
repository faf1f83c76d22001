"""A trunk whose target is a name: what the DNS says of it counts, by priority and weight, and is remembered."""

from __future__ import annotations

import pytest

from tests.interop.test_calls import IS_HUNG_UP, RINGS_AND_ANSWERS
from tests.interop.test_trunks import calls, place, walk
from tests.peers.installed import needs
from tests.peers.ports import free_udp_port
from tests.peers.sipp import Sipp, checked
from tests.peers.sitefile import CALM, SiteFile, ours
from tests.sip.nameserver import NameServer

pytestmark = [pytest.mark.interop, needs("sipp", "sip-tester")]

ANSWERS = checked([*RINGS_AND_ANSWERS, *IS_HUNG_UP])
ZONE = """\
_sip._udp.pbx SRV 10 60 {often} here
_sip._udp.pbx SRV 10 40 {seldom} here
_sip._udp.pbx SRV 20 100 {last} here
here A 127.0.0.1
"""


@pytest.fixture(scope="module")
def ports():
    return {name: free_udp_port() for name in ("often", "seldom", "last")}


@pytest.fixture(scope="module")
def nameserver(ports):
    server = NameServer(ZONE.format(**ports))
    with server.serving():
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory, nameserver):
    trunk = {
        "targets": ["pbx.example.test"],
        **{"check_s": 2, "suspect_check_s": 0.2, "try_s_max": 1.5, "down_after": 2, "up_after": 1},
    }
    file = SiteFile(
        tmp_path_factory.mktemp("site"), ours("one"), timings=CALM, trunks={"pbx": trunk}, lists={"pbx": ["one"]},
        name_server=str(nameserver.address),
    )  # fmt: skip
    with file.serve() as running:
        yield running.ready()


def states(site, ports):
    """How the targets are, by their names here."""
    by_port = {one["address"]: one["state"] for one in site.status()["nets"][0]["targets"]}
    return {name: by_port.get(f"127.0.0.1:{port}/udp") for name, port in ports.items()}


def test_calls_follow_the_records_and_go_on_when_the_dns_is_dead(site, tmp_path, ports, nameserver):
    def target(name):
        return Sipp(ANSWERS, tmp_path, name, port=ports[name], calls=100_000)

    with target("last"):
        with target("often") as often, target("seldom") as seldom:
            site.wait_until(lambda _: set(states(site, ports).values()) == {"up"}, "all are up")
            with Sipp(calls("pbx"), tmp_path, "callers", remote=site.address, calls=40, rate=20) as callers:
                callers.wait()
            took = [phone.messages().count("\nACK ") for phone in (often, seldom)]
            assert min(took) >= 3, f"each call is a draw of its own: {took}"
            assert sum(took) == 40, "none goes to the next priority while these are there"
            shown = site.ask("status").stdout
            assert f"pbx.example.test (127.0.0.1:{ports['last']}/udp)" in shown
        nameserver.silent = True
        site.wait_until(lambda _: states(site, ports) == {"often": "down", "seldom": "down", "last": "up"}, "two down")
        story = place(site, tmp_path, "pbx", calls("pbx"))
        assert walk(story) == [(ports["last"], "answered", None)]
        assert len(story["targets"]) == 3
