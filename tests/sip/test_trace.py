"""Messages of a call, for whoever is looking into it."""

import subprocess

import trio

from mediaha.model.address import Address
from mediaha.sip.endpoint import open_endpoint
from mediaha.sip.target import TCP, TLS, UDP, Target
from mediaha.sip.trace import Trace, Traced, pcap
from mediaha.sip.transaction.timers import Timers
from tests.peers.installed import needs

from .parties import LOOPBACK, Ear, request, serve
from .world import request as plain

HERE = Address("192.0.2.1", 5060)
THERE = Target(UDP, Address("192.0.2.2", 5062))


def traced(call_id: str, at: float = 1.5, flow: Target = THERE, local: Address = HERE, *, received=True) -> Traced:
    return Traced(at, received, plain("INVITE", call_id=call_id, branch="one").to_bytes(), local, flow)


def test_only_messages_of_the_wanted_calls_are_kept():
    trace = Trace(["call-1", "call-2"])
    for call_id in ("call-1", "other", "call-2"):
        trace.note(traced(call_id))
    assert len(trace.messages()) == 2


def test_a_long_call_costs_bounded_memory_and_its_end_is_kept():
    trace = Trace(["call"], messages_max=10)
    for number in range(100):
        trace.note(traced(f"call-{number}"))
    assert len(trace.messages()) == 10
    assert b"call-99" in trace.messages()[-1].message
    assert trace.dropped == 90
    small = Trace(["call"], bytes_max=1000)
    for _ in range(100):
        small.note(traced("call"))
    assert sum(len(kept.message) for kept in small.messages()) <= 1000


@needs("tshark", "tshark")
def test_wireshark_reads_the_capture(tmp_path):
    six = Target(TLS, Address("2001:db8::2", 5061), "example.test")
    messages = [
        traced("call-1"),
        traced("call-1", received=False),
        traced("call-1", 2.25, six, Address("2001:db8::1", 5061)),
    ]
    (tmp_path / "call.pcap").write_bytes(pcap(messages))
    fields = [
        "frame.time_epoch",
        "ip.src",
        "ipv6.src",
        "udp.dstport",
        "sip.Method",
        "sip.Call-ID",
        "ip.checksum.status",
    ]
    command = ["tshark", "-r", tmp_path / "call.pcap", "-d", "udp.port==5061,sip", "-o", "ip.check_checksum:TRUE"]
    command += ["-T", "fields", "-E", "separator=,"]
    command += [part for field in fields for part in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "1.500000000,192.0.2.2,,5060,INVITE,call-1,1",
        "1.500000000,192.0.2.1,,5062,INVITE,call-1,1",
        "2.250000000,,2001:db8::2,5061,INVITE,call-1,",
    ]


async def test_a_tap_sees_what_comes_and_goes_and_one_that_fails_disturbs_nobody(nursery):
    once = Timers(t1=60.0)
    async with open_endpoint(LOOPBACK, timers=once) as alice, open_endpoint(LOOPBACK) as bob:
        nursery.start_soon(serve, bob, [])
        message = request("OPTIONS", alice)
        trace = Trace([message.call_id])
        bob.tap = trace.note
        alice.tap = lambda traced: 1 / 0
        with trio.fail_after(10):
            for sent in (message, request("OPTIONS", alice)):
                alice.send(sent, bob.address, ear := Ear())
                assert (await ear.next()).status == 200
        assert alice.tap is None
        assert [(kept.received, kept.message[:7], kept.local) for kept in trace.messages()] == [
            (True, b"OPTIONS", bob.address),
            (False, b"SIP/2.0", bob.address),
        ]
        assert trace.messages()[0].flow.address == alice.address
        assert trace.messages()[0].flow.transport != TCP
        nursery.cancel_scope.cancel()
