"""The site of examples/phones.toml with real phones: they register, a trunk reaches them, a restart forgets none."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.test_calls import CALLS, HANGS_UP, IS_HUNG_UP, RINGS_AND_ANSWERS
from tests.peers.baresip import Baresip
from tests.peers.installed import needs
from tests.peers.linphone import Linphone
from tests.peers.ports import free_udp_port, rtp_ports
from tests.peers.sipp import (
    Sipp,
    ack_failure,
    challenged,
    checked,
    expect,
    invite,
    pause,
    provisional,
    register,
    request,
)
from tests.peers.site import Site
from tests.sip.certificates import Authority

pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
    needs("baresip", "baresip-core"),
    needs("openssl", "openssl"),
]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "phones.toml"
TRUNK = "127.0.0.9"
"""Where the trunk is. Everybody else, phones too, is at 127.0.0.1, and a stranger to NeTS."""


class Town:
    """The example's site on this machine, on free ports, as it is or started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        issued = self.authority.issue("DNS:example.test", "IP:127.0.0.1")
        self.port, self.tls_port, self.trunk_port = free_udp_port(), free_udp_port(), free_udp_port()
        first, _ = rtp_ports(200)
        changes = {
            "192.0.2.20:5060": f"{TRUNK}:{self.trunk_port}",
            "192.0.2.11:5060": f"127.0.0.1:{self.port}",
            "192.0.2.11:5061": f"127.0.0.1:{self.tls_port}",
            "192.0.2.11:2223": f"127.0.0.1:{free_udp_port()}",
            "192.0.2.11:2224": f"127.0.0.1:{free_udp_port()}",
            "192.0.2.11": "127.0.0.1",
            "20000-24999": f"{first}-{first + 99}",
            "25000-29999": f"{first + 100}-{first + 199}",
            "nets-alpha.pem": str(issued.certificate),
            "nets-alpha.key": str(issued.key),
            # A NeTS on loopback would take calls from everybody on this machine.
            'name = "nets-alpha"\n': 'name = "nets-alpha"\ncallers = []\n',
        }
        text = EXAMPLE.read_text()
        for before, after in changes.items():
            text = text.replace(before, after)
        self.file = folder / "site.toml"
        self.file.write_text(text)

    def serve(self) -> Site:
        """Run it."""
        site = Site(self.folder, str(self.file), standalone=False)
        site.port, site.target_port = self.port, self.trunk_port
        return site

    def phone(self, folder: Path, transport: str, *, name: str = "anna", answers: bool = True) -> Baresip:
        """A baresip of anna's that registers."""
        port = self.tls_port if transport == "tls" else self.port
        place = f"127.0.0.1:{port};transport={transport}"
        account = f'<sip:anna@example.test;transport={transport}>;auth_pass=sesame;outbound="sip:{place}";regint=60'
        return Baresip(name, folder, answers=answers, account=account, authorities=self.authority.certificate)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def site(town):
    with town.serve() as running:
        yield running.ready()


def contacts(status, user="anna"):
    """The contacts of a user that ``mediaha status`` shows."""
    return [one for one in status["nets"][0]["contacts"] if one["user"] == f"{user}@example.test"]


def registered(site, user="anna"):
    """The one contact of a user, once there is one."""
    status = site.wait_until(lambda status: contacts(status, user), f"{user} is registered")
    (contact,) = contacts(status, user)
    return contact


def secret(name="anna", password="sesame"):
    return ("-au", name, "-ap", password, "-auth_uri", "example.test")


REFUSED = '"method":"INVITE","status":480'
AUTHORIZED = "[authentication]\n"
CONTACT = "Contact: <sip:anna@[local_ip]:[local_port]>\n"


def registers(contacts=CONTACT, *, status=200, pattern=None, headers="", first=1, name="anna"):
    """Two REGISTERs: one to be challenged, one with the answer."""
    return [
        register(name, "example.test", contacts, first, headers),
        challenged(),
        register(name, "example.test", contacts, first + 1, headers + AUTHORIZED),
        expect(status, pattern=pattern),
    ]


def run(site, folder, steps, name="phone", **options):
    """A phone, to the end of its steps."""
    with Sipp(steps, folder, name, remote=site.address, extra=secret(), **options) as phone:
        phone.wait()


FORGETS = [
    register("anna", "example.test", "Contact: *\n", 90, "Expires: 0\n"),
    challenged(),
    register("anna", "example.test", "Contact: *\n", 91, "Expires: 0\n" + AUTHORIZED),
    expect(200),
]


def test_a_phone_registers_several_contacts_asks_for_them_and_takes_all_away(site, tmp_path):
    three = "Contact: <sip:anna@10.0.0.1>;q=0.5, <sip:anna@10.0.0.2;transport=tcp>\nContact: <sip:anna@10.0.0.3>\n"
    steps = [
        *registers(three, headers="Expires: 300\n", pattern="10.0.0.3.;expires=300"),
        *registers("", first=3, pattern="10.0.0.1.;q=0.5;expires=300"),
        *registers("Contact: <sip:anna@10.0.0.2;transport=tcp>;expires=0\n", first=5, pattern="anna@10.0.0.3"),
        pause(500),
        *FORGETS,
    ]
    with Sipp(steps, tmp_path, "phone", remote=site.address, extra=secret()) as phone:
        site.wait_until(lambda status: len(contacts(status)) == 2, "one of three is taken away")
        phone.wait()
    assert contacts(site.status()) == []


def test_a_wrong_secret_is_refused_with_nothing_to_learn_from(site, tmp_path):
    with Sipp(registers(status=403), tmp_path, "phone", remote=site.address, extra=secret("anna", "wrong")) as phone:
        phone.wait()
    (told,) = re.findall(r"SIP/2.0 403 .*?\r?\n\r?\n", phone.messages(), re.DOTALL)
    assert not re.search("Warning|Server|Retry|Contact|Authenticate", told)
    assert contacts(site.status()) == []


def test_too_brief_a_registration_is_refused_with_what_would_do(site, tmp_path):
    run(site, tmp_path, registers(headers="Expires: 10\n", status=423, pattern="Min-Expires: 60"))


def test_a_stranger_can_neither_call_nor_find_out_what_there_is(site, tmp_path):
    for name, steps in {
        "invite": [invite(host="elsewhere.test"), expect(403), ack_failure()],
        "options": [request("OPTIONS", uri="sip:[remote_ip]:[remote_port]", to_tag=""), expect(403)],
    }.items():
        run(site, tmp_path, steps, name)


@needs("svwar", "sipvicious")
@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_scanner_cannot_tell_users_from_names_that_nobody_has(town, site, tmp_path, method):
    (tmp_path / "names").write_text("anna\nbo\nnobody\n100\n")
    done = subprocess.run(
        ["svwar", "-m", method, "-p", str(town.port), "-d", "names", "--domain", "example.test",
         "127.0.0.1"],
        cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "found nothing" in done.stderr, done.stderr
    assert "anna" not in done.stdout


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_registered_baresip_phone_is_reached_from_a_sipp_trunk(town, site, tmp_path, transport):
    with town.phone(tmp_path, transport) as phone:
        contact = registered(site)
        assert contact["source"].endswith(f"/{transport}")
        assert contact["connected"]
        with Sipp(
            [*CALLS, pause(500), *HANGS_UP], tmp_path, "trunk", remote=site.address, service="anna", host=TRUNK
        ) as trunk:
            phone.wait_for("CALL_ESTABLISHED")
            trunk.wait()
            phone.wait_for("CALL_CLOSED")
        site.settled()
        phone.command("quit")
        site.wait_until(lambda status: not contacts(status), "it has taken its contact away")


@needs("linphonec", "linphone-cli")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_linphone_registers_with_sha_256_is_reached_and_calls(town, site, tmp_path, transport):
    registrar = f"sip:127.0.0.1:{town.port if transport != 'tls' else town.tls_port};transport={transport}"
    authorities, before = town.authority.certificate, site.log().count(REFUSED)
    with Linphone(tmp_path, "bo", "example.test", "open", registrar, transport, authorities) as phone:
        assert registered(site, "bo")["source"].endswith(f"/{transport}")
        with Sipp(
            [*CALLS, pause(300), *HANGS_UP], tmp_path, "trunk", remote=site.address, service="bo", host=TRUNK
        ) as trunk:
            trunk.wait()
        site.wait_until(lambda _: "to LinphoneCallEnd" in phone.log(), "it knows that the call is over")
        phone.command("call sip:anna@example.test")
        site.wait_until(lambda _: site.log().count(REFUSED) > before, "anna has no phone")
        phone.command("unregister")
        site.wait_until(lambda status: not contacts(status, "bo"), "it has taken its contact away")
        assert "algorithm=SHA-256, username" in phone.log()


def test_two_phones_of_a_user_ring_and_who_answers_first_has_the_call(town, site, tmp_path):
    with town.phone(tmp_path, "tcp") as desk, town.phone(tmp_path, "tls", name="other", answers=False) as other:
        site.wait_until(lambda status: len(contacts(status)) == 2, "both are registered")
        with Sipp(
            [*CALLS, pause(300), *HANGS_UP], tmp_path, "trunk", remote=site.address, service="anna", host=TRUNK
        ) as trunk:
            other.wait_for("CALL_INCOMING")
            desk.wait_for("CALL_ESTABLISHED")
            other.wait_for("CALL_CLOSED")
            trunk.wait()
            desk.wait_for("CALL_CLOSED")
        site.settled()


def test_a_user_calls_whoever_is_behind_the_trunk(town, site, tmp_path):
    steps = checked([*RINGS_AND_ANSWERS, *IS_HUNG_UP])
    with Sipp(steps, tmp_path, "pbx", port=town.trunk_port, calls=100_000, host=TRUNK) as pbx:
        with town.phone(tmp_path, "tls") as anna:
            registered(site)
            anna.command("dial", "sip:desk@example.test")
            anna.wait_for("CALL_ESTABLISHED")
            anna.command("hangup")
            site.settled()
        assert "From: <sip:anna@example.test" in pbx.messages()


def test_who_has_no_phone_is_away_and_who_is_no_user_is_refused_by_the_trunk(site, tmp_path):
    steps = [invite(), *provisional(), expect(480), ack_failure()]
    with Sipp(steps, tmp_path, "trunk", remote=site.address, service="anna", host=TRUNK) as trunk:
        trunk.wait()


def test_a_mediaha_that_was_killed_finds_the_phones_again_when_it_is_back(tmp_path):
    town = Town(tmp_path)
    with town.phone(tmp_path, "udp") as phone:
        with town.serve() as before:
            before.ready()
            was = registered(before)
            time.sleep(0.5)  # written behind: what is younger than that may be lost
            before.process.kill()
            before.process.wait()
        with town.serve() as after:
            after.ready()
            again = registered(after)
            assert (again["contact"], again["source"]) == (was["contact"], was["source"])
            assert again["expires_s"] < was["expires_s"]
            with Sipp(
                [*CALLS, pause(200), *HANGS_UP], tmp_path, "trunk", remote=after.address, service="anna", host=TRUNK
            ) as trunk:
                phone.wait_for("CALL_ESTABLISHED")
                trunk.wait()
            after.settled()
            phone.close()  # while there is somebody whom it can tell
