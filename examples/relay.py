"""One media server in this process, for whatever speaks rtpengine's ng protocol.

    python examples/relay.py [HOST:PORT]

Point Kamailio, OpenSIPS, drachtio or another mediaha at it; stop it with Ctrl-C.
"""

import sys

import trio

from mediaha.media import RunningMedia, serve_media
from mediaha.model.address import Address
from mediaha.model.site import MediaServerSpec

STATISTICS_EVERY_S = 5


async def main(listen: Address) -> None:
    """Relay until interrupted, and tell from time to time how much."""
    spec = MediaServerSpec("example", host="localhost", ng=listen, interfaces=("127.0.0.1",), ports=(20000, 20999))
    async with trio.open_nursery() as nursery:
        running: RunningMedia = await nursery.start(serve_media, spec)
        print(f"ng on {running.ng}, RTP on 127.0.0.1:20000-20999")
        while True:
            await trio.sleep(STATISTICS_EVERY_S)
            now = running.statistics()
            print(f"{now['sessions']} calls, {now['streams']} streams, {now['packets']} packets relayed")


if __name__ == "__main__":
    try:
        trio.run(main, Address.parse(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2223"))
    except* KeyboardInterrupt:
        print("stopped")
