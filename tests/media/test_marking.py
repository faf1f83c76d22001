"""What routers are asked for: the packets of a call carry the DSCP that the site file says (RFC 2474)."""

import json
import socket
from dataclasses import replace

import pytest
import trio

from mediaha.media import serve_media
from mediaha.model.errors import MediahaError
from tests.failover.world import spec
from tests.peers.rtp import RtpEndpoint

LOOPBACK = {"IP4": "127.0.0.1", "IP6": "::1"}
CLASS = {"IP4": (socket.IPPROTO_IP, socket.IP_RECVTOS), "IP6": (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS)}


class Party(RtpEndpoint):
    """An endpoint that looks at the IP header of what it hears."""

    def __init__(self, family):
        super().__init__(ssrc=1, host=LOOPBACK[family])
        self.sdp = (
            f"v=0\r\no=- 1 1 IN {family} {LOOPBACK[family]}\r\ns=-\r\nc=IN {family} {LOOPBACK[family]}\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 8\r\n"
        )
        self._sock.setsockopt(*CLASS[family], 1)

    async def dscp_heard(self):
        """Of the next packet."""
        with trio.fail_after(10):
            await trio.lowlevel.wait_readable(self._sock)
        _, [(_, _, value)], _, _ = self._sock.recvmsg(2048, 64)
        return value[0] >> 2


async def ask(ng, **request):
    """What the server replies."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as client, trio.fail_after(10):
        await client.connect(ng)
        await client.send(b"1 " + json.dumps(request).encode())
        return json.loads((await client.recv(65535)).partition(b" ")[2])


@pytest.mark.parametrize("datapath", ["sockets", "steered"])
@pytest.mark.parametrize("family", LOOPBACK)
async def test_what_a_party_hears_is_marked(datapath, family):
    server = replace(spec("a"), datapath=datapath, dscp=34, interfaces=(LOOPBACK[family],))
    async with trio.open_nursery() as nursery:
        try:
            running = await nursery.start(serve_media, server)
        except MediahaError as refused:
            if datapath == "sockets":
                raise
            pytest.skip(str(refused))
        caller, callee = Party(family), Party(family)
        call = {"call-id": "marked", "from-tag": "1"}
        to_callee = await ask(running.ng, command="offer", sdp=caller.sdp, **call)
        await ask(running.ng, command="answer", sdp=callee.sdp, **{**call, "to-tag": "2"})
        # The port that the callee is told is the one that it sends to.
        port = int(to_callee["sdp"].partition("m=audio ")[2].split()[0])
        callee.send((LOOPBACK[family], port))
        assert await caller.dscp_heard() == 34
        nursery.cancel_scope.cancel()
