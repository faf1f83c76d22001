"""RTP between pairs of sockets, each packet checked: what loopback itself costs and loses.

    python examples/load.py [PAIRS] [SECONDS]

Put something that relays between the two (``aim`` each at it instead of at the other) to see what that costs.
"""

import sys
import time

from mediaha.load import Load


def main(pairs: int, seconds: float) -> None:
    """Let ``pairs`` talk and print what they heard."""
    load = Load()
    for _ in range(pairs):
        (a, a_listens), (b, b_listens) = load.open(), load.open()
        load.pair(a, b)
        load.aim(a, b_listens)
        load.aim(b, a_listens)
        load.start(a)
        load.start(b)
    time.sleep(seconds)
    heard = load.arrivals()
    print(f"sent {heard.sent}, heard {heard.received} right, {heard.lost} lost, {heard.corrupt} corrupt")
    print(f"delay p50 {heard.latency_ms_p50} ms, p99 {heard.latency_ms_p99} ms")
    print(f"longest gap {heard.gap_ms_max:.1f} ms, of which up to {load.lateness_ms_max:.1f} ms are the generator's")
    load.close()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(int(arguments[0]) if arguments else 50, float(arguments[1]) if len(arguments) > 1 else 3.0)
