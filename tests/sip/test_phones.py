"""Authentication and transports with others: baresip registers with us, and we with Kamailio."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from mediaha.model.address import Address
from mediaha.model.listener import Listener, Tls
from mediaha.sip.auth.client import Account, Answerer
from mediaha.sip.auth.digest import HashedSecret
from mediaha.sip.auth.nonces import Nonces
from mediaha.sip.auth.server import Known, Realm, Unknown
from mediaha.sip.endpoint import Endpoint, open_endpoint
from mediaha.sip.target import TCP, TLS, UDP, Target
from mediaha.sip.transaction.events import Incoming
from tests.peers.installed import needs
from tests.peers.kamailio import HEAD, Kamailio
from tests.peers.ports import free_udp_port

from .certificates import Authority
from .parties import LOOPBACK, Ear, request

REALM = "example.test"
SECRET = HashedSecret.of("bob", REALM, "zanzibar")
MODULES = Path("/usr/lib/baresip/modules")

pytestmark = [
    pytest.mark.interop,
    needs("baresip", "baresip-core"),
    needs("kamailio", "kamailio"),
    needs("openssl", "openssl"),
]


@contextmanager
def running(command: list[str], folder: Path):
    """A process that is ended with the block; what it printed is shown when the test fails."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=folder, env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
    try:
        yield
    except BaseException:
        print(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        process.kill()
        process.wait()


def baresip(folder: Path, target: Target, authority: Authority) -> list[str]:
    """A phone of bob's that registers at once."""
    (folder / "config").write_text(
        f"poll_method epoll\nsip_listen 127.0.0.1:{free_udp_port()}\nnet_interface 127.0.0.1\n"
        f"sip_cafile {authority.certificate}\nmodule_path {MODULES}\nmodule g711.so\n"
        "module uuid.so\n"
        "module_app account.so\nmodule_app menu.so\n"
    )
    place = f"{target.address};transport={target.transport.lower()}"
    (folder / "accounts").write_text(f"<sip:bob@{place}>;auth_pass=zanzibar;regint=60\n")
    (folder / "contacts").write_text("")
    return ["baresip", "-v", "-f", str(folder)]


async def registrations(endpoint: Endpoint, send: trio.MemorySendChannel) -> None:
    """A registrar: it asks for credentials (MD5 only, baresip knows no other), and tells who has come."""
    realm = Realm(REALM, Nonces(os.urandom(32)))
    async for event in endpoint.requests:
        if not isinstance(event, Incoming):
            continue
        verdict = realm.judge(event.request, {"bob": HashedSecret(md5=SECRET.md5)}.get, trio.current_time())
        if isinstance(verdict, Unknown):
            answer = event.request.response(verdict.status, to_tag="us", headers=verdict.headers)
        elif isinstance(verdict, Known):
            contact = [("Contact", event.request.headers.get("Contact") + ";expires=60")]
            answer = event.request.response(200, to_tag="us", headers=contact)
            await send.send(event)
        else:
            answer = event.request.response(403, to_tag="us")
        endpoint.respond(event.transaction, answer)


@pytest.mark.parametrize("transport", [UDP, TCP, TLS])
async def test_a_phone_registers_and_is_reached_on_the_way_that_it_came(nursery, tmp_path, transport):
    authority = Authority(tmp_path)
    issued = authority.issue("DNS:example.test", "IP:127.0.0.1")
    tls = Tls(issued.certificate, issued.key, authorities=authority.certificate) if transport == TLS else None
    async with open_endpoint([Listener(LOOPBACK, transport, tls=tls)]) as endpoint:
        send, receive = trio.open_memory_channel(10)
        nursery.start_soon(registrations, endpoint, send)
        folder = tmp_path / "phone"
        folder.mkdir()
        with running(baresip(folder, Target(transport, endpoint.address), authority), folder), trio.fail_after(30):
            event = await receive.receive()
            assert event.flow.transport == event.request.via.transport == transport
            endpoint.send(request("OPTIONS", endpoint), event.flow, ear := Ear())
            assert (await ear.next()).status == 200
        nursery.cancel_scope.cancel()


KAMAILIO = (
    HEAD
    + """
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
request_route {{
    if (!pv_www_authenticate("{realm}", "zanzibar", "0")) {{
        www_challenge("{realm}", "1");
        exit;
    }}
    sl_send_reply("200", "OK");
}}
"""
)


@pytest.mark.parametrize("transport", [UDP, TCP])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_we_register_with_kamailio(tmp_path, transport, algorithm):
    target = Target(transport, Address("127.0.0.1", free_udp_port()))
    text = KAMAILIO.format(port=target.address.port, algorithm=algorithm, realm=REALM)
    client = Answerer(Account("bob", REALM, SECRET))
    async with open_endpoint([Listener(LOOPBACK, transport)]) as endpoint:
        with Kamailio(text, tmp_path, target.address.port), trio.fail_after(30):
            ear = Ear()
            first = request("REGISTER", endpoint)
            endpoint.send(first, target, ear)
            challenge = await ear.next()
            assert challenge.status == 401
            second = client.answer(first, challenge, "fresh")
            endpoint.send(second, target, ear)
            assert (await ear.next()).status == 200
            # The nonce is used again, with the next count and no further question.
            endpoint.send(client.prove(request("REGISTER", endpoint), "fresher"), target, ear)
            assert (await ear.next()).status == 200
            # What somebody has overheard is of no use.
            endpoint.send(second, target, ear)
            assert (await ear.next()).status == 401
