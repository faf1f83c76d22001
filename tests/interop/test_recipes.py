"""The recipes under examples/recipes, with the very files that stand there; only the addresses are others.

In each a call manager has two NeTS: one is killed, comes back, and drains, and no call is lost to that.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mediaha.model.address import Address
from tests.interop.test_calls import IS_HUNG_UP
from tests.peers.installed import needs, unless
from tests.peers.kamailio import Kamailio
from tests.peers.sipp import Sipp, expect, invite, pause, provisional, request, respond, take
from tests.peers.site import Site, left_over
from tests.sip.nameserver import NameServer

RECIPES = Path(__file__).resolve().parents[2] / "examples" / "recipes"
pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
    needs("kamailio", "kamailio"),
    unless(None if os.geteuid() == 0 else "the recipe for DNS needs a mount namespace, and that root"),
]

ROUTED = "[last_Record-Route:]\n"
ROUTE = "[routes]\n"
TELEPHONE = [
    *[take("INVITE"), respond(180, "Ringing", headers=ROUTED), respond(200, "OK", "sendrecv", headers=ROUTED)],
    *[take("ACK"), *IS_HUNG_UP],
]
QUICK = "[timings]\nhold_down_ms = 300\nsilence_ms_max = 3000\n"


class Town:
    """Hosts with the addresses of the recipes, on a part of loopback that nobody else uses."""

    def __init__(self, folder):
        self.folder = folder
        self.prefix = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        (folder / "site.toml").write_text(self.moved((RECIPES / "site.toml").read_text()) + QUICK)

    def moved(self, text):
        """A file of the recipes with the addresses that hold here."""
        return text.replace("192.0.2.", f"{self.prefix}.").replace("/etc/kamailio/", f"{self.folder}/")

    def host(self, name):
        """Run what the site has for a host."""
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir()
        return Site(folder, str(self.folder / "site.toml"), "--host", name, standalone=False)

    def call_manager(self, recipe, config):
        """Kamailio with the recipe's files."""
        for file in (RECIPES / recipe).glob("*.list"):
            (self.folder / file.name).write_text(self.moved(file.read_text()))
        text = "log_stderror=yes\n" + self.moved((RECIPES / recipe / config).read_text())
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {self.prefix}.53\n")
        inside = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
        before = ("unshare", "--mount", "sh", "-c", inside, "sh")
        return Kamailio(text, self.folder, 5060, recipe, host=f"{self.prefix}.20", before=before)

    def telephones(self):
        return Sipp(TELEPHONE, self.folder, "telephones", host=f"{self.prefix}.30", port=5060, calls=100_000)

    def call(self):
        """A call from behind the call manager, set up and ended; gives which host's NeTS took it."""
        with self.caller(50) as caller:
            caller.wait()
        number = re.search(rf"Contact: <sip:nets@{self.prefix}\.(\d+):5060", caller.messages())[1]
        return {"11": "alpha", "12": "beta"}[number]

    def caller(self, stays_ms):
        """Somebody behind the call manager who calls, and hangs up after so long."""
        name = f"call-{time.monotonic_ns()}"
        talks = [invite(), *provisional(), expect(200), request("ACK", headers=ROUTE), pause(stays_ms)]
        steps = [*talks, request("BYE", headers=ROUTE), expect(200)]
        return Sipp(steps, self.folder, name, host=f"{self.prefix}.40", remote=f"{self.prefix}.20:5060")


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


@pytest.fixture
def nameserver(town):
    """What the DNS says, by the zone file of the recipe."""
    server = NameServer(
        town.moved((RECIPES / "dns-srv" / "nets.zone").read_text()), where=Address(f"{town.prefix}.53", 53)
    )
    with server.serving():
        yield server


def calls_until(town, host):
    """Place calls, all of which succeed, until one goes by this host."""
    deadline = time.monotonic() + 60
    while town.call() != host:
        assert time.monotonic() < deadline, f"no call goes by {host}"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("recipe", "config"),
    [
        ("kamailio-dispatcher", "kamailio.cfg"),
        ("dns-srv", "kamailio.cfg"),
        ("mx-one", "played.cfg"),
        ("cisco-ucm", "played.cfg"),
    ],
)
def test_calls_go_to_the_nets_that_takes_them(town, nameserver, recipe, config):
    with ExitStack() as stack:
        alpha, beta = [stack.enter_context(town.host(name)) for name in ("alpha", "beta")]
        alpha.ready("media-alpha")
        beta.ready("media-beta")
        stack.enter_context(town.telephones())
        stack.enter_context(town.call_manager(recipe, config))
        calls_until(town, "alpha")

        alpha.process.send_signal(signal.SIGKILL)
        alpha.process.wait()
        gone = time.monotonic() + 20
        while left_over(alpha.folder):  # its media server has noticed, and leaves its ports
            assert time.monotonic() < gone
            time.sleep(0.1)
        assert town.call() == "beta"
        nameserver.silent = True  # what the DNS has said is remembered
        assert town.call() == "beta"

        back = stack.enter_context(town.host("alpha")).ready("media-alpha")
        calls_until(town, "alpha")
        with town.caller(3000) as staying:
            back.wait_until(lambda _: "\nACK " in staying.messages(), "a call that stays")
            staying.freeze()
            assert back.calls() == 1
            back.process.terminate()
            back.wait_until(lambda status: status["draining"], "the first NeTS drains")
            assert [town.call() for _ in range(2)] == ["beta", "beta"], "no new call arrives"
            staying.thaw()
            staying.wait()
        assert back.process.wait(20) == 0


def test_every_recipe_is_told_in_words():
    told = (RECIPES / "README.md").read_text()
    for folder in RECIPES.iterdir():
        if folder.is_dir():
            assert f"({folder.name}/README.md)" in told
            assert (folder / "README.md").exists()
