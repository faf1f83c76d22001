"""Calls that the kernel forwards, over a cable to another host: two sockets of the test's, and a media server."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from tests.media.calls import Client, answers, audio, sdp, until
from tests.peers import netns
from tests.peers.mediaserver import MediaServer

SOON_S = 0.3
"""No packet over a cable takes so long."""
PORTS = (18000, 18099)
SO_RCVBUFFORCE = 33
ROOM_BYTES = 8 << 20
"""For what is heard before it is asked for: some ten thousand packets."""


def far_server(
    folder: Path, far: netns.Namespace, name: str = "far", datapath: str = "kernel", ports: tuple[int, int] = PORTS
) -> MediaServer:
    """A media server at the far end of the cable, whose calls the kernel forwards unless it is told otherwise."""
    families = (netns.FAR, netns.FAR_V6) if netns.HAS_IPV6 else (netns.FAR,)
    interfaces = [word for address in families[1:] for word in ("--interface", address)]
    where = {"inside": far.inside_network, "datapath": datapath, "ports": ports}
    return MediaServer(folder, name, host=netns.FAR, options=interfaces, **where)


class Forwarded:
    """Two parties of the near end, whose packets the kernel takes over as soon as one has been heard."""

    def __init__(self, server: MediaServer, client: Client, family: str = "IP4", call_id: str = "call") -> None:
        self.server = server
        self.client = client
        self.call_id = call_id
        self.family = family
        is_v6 = family == "IP6"
        host = netns.NEAR_V6 if is_v6 else netns.NEAR
        self.parties = [socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab"]
        for party in self.parties:
            party.bind((host, 0))
            party.settimeout(SOON_S)
            party.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
        # Only the signalled addresses are believed, so that lanes open at once.
        asked = {"call-id": call_id, "from-tag": "1", "flags": ["strict source"]}
        at = ["{}:{}".format(*party.getsockname()) for party in self.parties]
        client.ask(command="offer", sdp=sdp(family, at[0]), **asked)
        answered = client.ask(command="answer", sdp=sdp(family, at[1]), **{**asked, "to-tag": "2"})
        aim, port = audio(answered["sdp"]).rsplit(":", 1)
        self.port = (aim.strip("[]"), int(port))
        """Where the caller sends to."""
        self.number = 0

    @property
    def caller(self) -> tuple[str, int]:
        """Where the caller sends from."""
        return self.parties[0].getsockname()[:2]

    def words(self, length: int = 160) -> bytes:
        """The next packet of the caller."""
        self.number += 1
        return struct.pack("!BBHII", 0x80, 8, self.number & 0xFFFF, self.number * 160, 1) + b"\xd5" * length

    def heard(self) -> list[bytes]:
        """What the callee hears until nothing more comes."""
        heard = []
        try:
            while True:
                heard.append(self.parties[1].recv(65535))
        except TimeoutError:
            return heard

    def is_heard(self) -> bool:
        """Whether the callee hears what the caller says now."""
        spoken = self.words()
        self.parties[0].sendto(spoken, self.port)
        try:
            while self.parties[1].recv(65535) != spoken:
                pass
        except TimeoutError:
            return False
        return True

    def needs_nobody(self) -> bool:
        """Whether the callee hears the caller while the process stands still."""
        self.is_heard()
        self.server.hang()
        alone = self.is_heard()
        self.server.resume()
        return alone

    def end(self) -> None:
        """Both hang up."""
        self.client.ask(command="delete", **{"call-id": self.call_id, "from-tag": "1", "delete-delay": 0})
        for party in self.parties:
            party.close()


def forwarded_call(server: MediaServer, family: str = "IP4", call_id: str = "call") -> Forwarded:
    """A call of this server, once the kernel forwards it."""
    client = Client(server.ng)
    answers(server, client)
    call = Forwarded(server, client, family, call_id)
    until("the kernel forwards", call.needs_nobody)
    return call
