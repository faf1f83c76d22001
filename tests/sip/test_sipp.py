"""Against a real SIPp with its own built-in scenarios, over loopback."""

import subprocess
from functools import partial

import pytest
import trio
import trio.testing

from mediaha.model.address import Address
from mediaha.model.listener import Listener
from mediaha.sip.dialog import Dialog
from mediaha.sip.endpoint import Endpoint, open_endpoint
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.target import TCP, UDP, Target
from mediaha.sip.transaction.events import Acknowledged, Incoming
from mediaha.sip.transport.patience import StreamLimits
from tests.peers.installed import needs
from tests.peers.ports import free_udp_port

LOOPBACK = Address("127.0.0.1", 0)
CALLS = 100
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"

pytestmark = [
    pytest.mark.interop,
    needs("sipp", "sip-tester"),
]


def sipp(*arguments: str, port: int) -> list[str]:
    """SIPp's command line: its screen goes nowhere, its exit status says whether every call succeeded."""
    common = ["-i", "127.0.0.1", "-p", str(port), "-m", str(CALLS), "-nostdin", "-timeout", "30"]
    return ["sipp", *arguments, *common]


async def answer(endpoint: Endpoint, seen: dict[str, int]) -> None:
    """A simple user agent server: every call is rung and answered."""
    async for event in endpoint.requests:
        match event:
            case Incoming(request, key, _) if request.method == "INVITE":
                headers = [("Contact", f"<sip:us@{endpoint.address}>")]
                endpoint.respond(key, request.response(180, to_tag="us", headers=headers))
                typed = [*headers, ("Content-Type", "application/sdp")]
                endpoint.respond(key, request.response(200, to_tag="us", headers=typed, body=SDP))
                seen["INVITE"] = seen.get("INVITE", 0) + 1
            case Incoming(request, key, _):
                endpoint.respond(key, request.response(200))
                seen[request.method] = seen.get(request.method, 0) + 1
            case Acknowledged():
                seen["ACK"] = seen.get("ACK", 0) + 1


@pytest.mark.parametrize(
    ("transport", "options"),
    [(UDP, ()), (UDP, ("-lost", "5")), (TCP, ("-t", "t1")), (TCP, ("-t", "tn", "-max_socket", "200"))],
    ids=["all arrives", "five percent lost", "one TCP connection", "a TCP connection for each call"],
)
async def test_sipp_calls_us(nursery, tmp_path, transport, options):
    seen: dict[str, int] = {}
    lost = "-lost" in options
    patient = StreamLimits(source_unproven_max=CALLS)
    async with open_endpoint([Listener(LOOPBACK, transport)], stream_limits=patient) as endpoint:
        nursery.start_soon(answer, endpoint, seen)
        arguments = ["-sn", "uac", str(endpoint.address), "-r", "100", "-d", "10", *options]
        with trio.fail_after(60):
            done = await trio.run_process(
                sipp(*arguments, port=free_udp_port()), cwd=tmp_path, capture_stdout=True, stderr=subprocess.STDOUT
            )
        assert done.returncode == 0
        assert seen["INVITE"] == CALLS
        # A call of SIPp's that has ended does not repeat a lost ACK, and takes a repeated 200 for its BYE's.
        least = CALLS - 15 if lost else CALLS
        assert least <= seen["ACK"] <= CALLS
        assert least <= seen["BYE"] <= CALLS
        assert endpoint.counters.malformed == 0
        nursery.cancel_scope.cancel()


async def call(endpoint: Endpoint, number: int, target: Target, outcome: list[int]) -> None:
    """A simple user agent client: one call, hung up as soon as it is answered."""
    send, receive = trio.open_memory_channel[Response](20)
    fields = [
        ("Max-Forwards", "70"),
        ("From", f"<sip:us@{endpoint.address}>;tag=us{number}"),
        ("To", f"<sip:service@{target.address}>"),
        ("Call-ID", f"call-{number}@mediaha"),
        ("CSeq", "1 INVITE"),
        ("Contact", f"<sip:us@{endpoint.address}>"),
        ("Content-Type", "application/sdp"),
    ]
    invite = Request("INVITE", f"sip:service@{target.address}", Headers(fields), SDP)
    key = endpoint.send(invite, target, send.send_nowait)
    response = await receive.receive()
    while not response.final:
        response = await receive.receive()
    dialog = Dialog.from_response(invite, response)
    endpoint.send_ack(dialog.ack(1), target, key)
    dialog, bye = dialog.request("BYE")
    endpoint.send(bye, target, send.send_nowait)
    outcome.append((await receive.receive()).status)


@pytest.mark.parametrize(("transport", "mode"), [(UDP, "u1"), (TCP, "t1")])
async def test_we_call_sipp(tmp_path, transport, mode):
    port = free_udp_port()
    outcome: list[int] = []
    target = Target(transport, Address("127.0.0.1", port))
    async with open_endpoint([Listener(LOOPBACK, transport)]) as endpoint, trio.open_nursery() as nursery:
        arguments = sipp("-sn", "uas", "-t", mode, port=port)
        run = partial(trio.run_process, arguments, cwd=tmp_path, capture_stdout=True, stderr=subprocess.STDOUT)
        peer = await nursery.start(run)
        with trio.fail_after(60):
            await until_it_listens(target)
            async with trio.open_nursery() as calls:
                for number in range(CALLS):
                    calls.start_soon(call, endpoint, number, target, outcome)
            assert await peer.wait() == 0
    assert outcome == [200] * CALLS


async def until_it_listens(target: Target) -> None:
    """Wait until SIPp has bound its socket: a closed port is told at once, an open one is silent to an empty line."""
    kind = trio.socket.SOCK_DGRAM if target.transport == UDP else trio.socket.SOCK_STREAM
    while True:
        with trio.socket.socket(trio.socket.AF_INET, kind) as probe, trio.move_on_after(0.05):
            try:
                await probe.connect(target.address)
                await probe.send(b"\r\n")
                await probe.recv(1)
            except ConnectionRefusedError:
                await trio.sleep(0.02)
                continue
        return
