"""A SIP call through session control that survives the death of its media server.

    python examples/nets.py

Two media servers, a failover pool and a NeTS run in this process, and so do two phones that speak just enough SIP. A
call is placed; its media server is stopped; NeTS sends both phones a re-INVITE; then the story of the call is told.
"""

import logging
from dataclasses import replace

import structlog
import trio

from mediaha.failover import open_pool
from mediaha.media import RunningMedia, serve_media
from mediaha.model.address import Address
from mediaha.model.listener import Listener
from mediaha.model.site import Domain, MediaServerSpec, NetsSpec, Site, Timings
from mediaha.nets import Nets, serve_nets
from mediaha.sip.dialog import Dialog
from mediaha.sip.endpoint import Endpoint, open_endpoint
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.transaction.events import ClientEvent, Incoming

HERE = Address("127.0.0.1", 0)
SDP_TYPE = ("Content-Type", "application/sdp")


class Phone:
    """Answers every INVITE with 200, and says where it is told to send its audio."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self.name = name
        self.endpoint = endpoint
        self.moved = trio.Event()
        self.connected = trio.Event()
        self.sdp = (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {endpoint.address.port + 2} RTP/AVP 0\r\n"
        ).encode()

    async def answer(self) -> None:
        """Answer what comes."""
        async for event in self.endpoint.requests:
            if isinstance(event, Incoming):
                request = event.request
                headers = [("Contact", f"<sip:{self.name}@{self.endpoint.address}>")]
                if request.method == "INVITE":
                    print(f"{self.name} is told to send to {audio(request.body)}")
                    headers.append(SDP_TYPE)
                    if request.to.tag is not None:
                        self.moved.set()
                body = self.sdp if request.method == "INVITE" else b""
                response = request.response(200, to_tag=self.name, headers=headers, body=body)
                self.endpoint.respond(event.transaction, response)

    def call(self, nets: Address) -> None:
        """Call desk@desk.test through NeTS."""
        fields = [
            ("From", f"<sip:{self.name}@desk.test>;tag={self.name}"),
            ("To", "<sip:desk@desk.test>"),
            ("Call-ID", "the-call"),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:{self.name}@{self.endpoint.address}>"),
            SDP_TYPE,
        ]
        request = Request("INVITE", "sip:desk@desk.test", Headers(fields), self.sdp)

        def told(outcome: ClientEvent) -> None:
            if isinstance(outcome, Response) and 200 <= outcome.status < 300:
                print(f"{self.name} is told to send to {audio(outcome.body)}")
                dialog = Dialog.from_response(request, outcome)
                self.endpoint.send_ack(dialog.ack(1), dialog.next_hop(), key)
                self.connected.set()

        key = self.endpoint.send(request, nets, told)


async def main() -> None:
    """Place a call, stop its media server, hear where it went."""
    async with (
        open_endpoint(HERE) as calling,
        open_endpoint(HERE) as called,
        trio.open_nursery() as nursery,
    ):
        caller, callee = Phone("caller", calling), Phone("callee", called)
        nursery.start_soon(caller.answer)
        nursery.start_soon(callee.answer)
        alive = {"first": trio.CancelScope(), "second": trio.CancelScope()}
        servers = (
            await start_server(nursery, alive["first"], "first", (20000, 20999)),
            await start_server(nursery, alive["second"], "second", (21000, 21999)),
        )
        spec = NetsSpec("nets-1", "here", (Listener(HERE),))
        domain = Domain("desk.test", ("first", "second"), (callee.endpoint.address,))
        site = Site("example", (), servers, (spec,), (domain,))
        async with open_pool(servers, Timings()) as pool:
            nets: Nets = await nursery.start(serve_nets, spec, site, pool)
            caller.call(nets.address)
            await caller.connected.wait()
            anchor = str((nets.explain("the-call") or {})["media_server"])
            print(f"-- {anchor} is stopped")
            alive[anchor].cancel()
            await caller.moved.wait()
            await callee.moved.wait()
            await nets.drain(0)
            tell(nets.explain("the-call") or {})
            nursery.cancel_scope.cancel()


def tell(story: dict[str, object]) -> None:
    """The decisions about a call, with their times."""
    events = story["events"]
    assert isinstance(events, list)
    for event in events:
        facts = {key: value for key, value in event.items() if key not in {"ms", "what", "attempts"}}
        print(f"{event['ms']:8.1f} ms  {event['what']:<12} {facts or ''}")


async def start_server(
    nursery: trio.Nursery, scope: trio.CancelScope, name: str, ports: tuple[int, int]
) -> MediaServerSpec:
    """A media server with a free control port; gives where it is."""
    spec = MediaServerSpec(name, host="here", ng=HERE, ports=ports)
    running: RunningMedia = await nursery.start(serve_within, scope, spec)
    return replace(spec, ng=running.ng)


async def serve_within(
    scope: trio.CancelScope, spec: MediaServerSpec, *, task_status: trio.TaskStatus[object]
) -> None:
    """A media server that can be stopped alone."""
    with scope:
        await serve_media(spec, task_status=task_status)


def audio(sdp: bytes) -> str:
    """The port of the audio stream."""
    return next((f"port {line.split()[1]}" for line in sdp.decode().splitlines() if line.startswith("m=audio")), "?")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    trio.run(main)
