"""What tests of whole endpoints have in common: requests, somebody who answers them, an ear for what comes back."""

from __future__ import annotations

import itertools

import trio

from mediaha.model.address import Address
from mediaha.sip.endpoint import Endpoint
from mediaha.sip.message import Headers, Request
from mediaha.sip.transaction.events import Cancelled, Incoming

LOOPBACK = Address("127.0.0.1", 0)
CALLS = itertools.count(1)


def request(method: str, endpoint: Endpoint) -> Request:
    """A request that starts something of its own."""
    number = next(CALLS)
    fields = [
        ("Max-Forwards", "70"),
        ("From", f"<sip:alice@example.test>;tag=a{number}"),
        ("To", "<sip:bob@example.test>"),
        ("Call-ID", f"call-{number}"),
        ("CSeq", f"1 {method}"),
        ("Contact", f"<sip:alice@{endpoint.address}>"),
    ]
    return Request(method, "sip:bob@example.test", Headers(fields))


class Ear:
    """Hears client events and lets a test wait for them."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel(1000)

    def __call__(self, event) -> None:
        self._send.send_nowait(event)

    async def next(self):
        with trio.fail_after(30):
            return await self._receive.receive()


async def serve(bob: Endpoint, events: list) -> None:
    """Answer everything 200, and INVITEs to ``slow`` 180 and then nothing until they are cancelled."""
    invites = {}
    async for event in bob.requests:
        events.append(event)
        headers = [("Contact", f"<sip:bob@{bob.address}>")]
        match event:
            case Incoming(message, key, _) if message.headers.get("Subject") == "slow":
                invites[key] = message
                bob.respond(key, message.response(180, to_tag="bob"))
            case Incoming(message, key, _):
                bob.respond(key, message.response(200, to_tag="bob", headers=headers))
            case Cancelled(_, key, _):
                bob.respond(key, invites[key].response(487, to_tag="bob"))
