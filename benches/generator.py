"""The RTP generator as the benchmarks use it: a process on a core of its own, and windows measured with it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from benches import machine
from benches.relays import BARE, Relay
from benches.settings import ROOT, SETTINGS

PACKETS_PER_CALL_S = 100
"""Through the relay: 50 each way."""
SHORTFALL_MAX = 0.03
"""Of the packets: what one costs is told by a few less as well. rtpengine nearly fills its core at 1,000 calls."""
TRIES_MAX = 4
STATED = ("misdirected", "corrupt", "duplicated", "reordered", "refused")
"""What the generator states of packets that were not right."""


class GeneratorFailed(Exception):
    """It ended, or the media server did not do what it asked for; the text has the media server's words."""


class NotMeasured(Exception):
    """No window was good enough to count; the text says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed. Times are of right packets, from the sender's stamp to the receiver's clock."""

    relay: str
    calls: int
    packets_per_s: float
    """Heard right."""
    cpu_us_per_packet: float
    """Of the relay's process."""
    core: float
    """The share of its core that the relay used."""
    generator_core: float
    others_cores: float
    """Cores that neither the relay nor the generator kept busy."""
    latency_ms_p50: float | None
    latency_ms_p99: float | None
    lost: int
    sent: int
    wrong: dict[str, int]
    """What the generator found wrong with packets; a window counts only when there is nothing."""

    @property
    def clean(self) -> bool:
        """Nobody heard anything that was not theirs, whole and in order."""
        return not any(self.wrong.values())


class Generator:
    """The process that talks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def order(self, do: str, **arguments: object) -> dict[str, float]:
        """Give an order and wait until it has been carried out. Raises GeneratorFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise GeneratorFailed(f"the generator ended with {self._process.wait()} at {do}")
        answer = json.loads(line)
        if "failed" in answer:
            raise GeneratorFailed(f"{do}: {answer['failed']}")
        return answer

    def cpu_s(self) -> float:
        """CPU used so far."""
        return machine.cpu_s(self._process.pid)


@contextmanager
def open_generator(core: int) -> Iterator[Generator]:
    """The generator on ``core`` until the end of the block."""
    command = [*machine.alone_on(core), sys.executable, "-m", "benches.talker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield Generator(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def window_at_full_load(relay: Relay, generator: Generator, calls: int) -> Window:
    """A window in which the generator kept its pace; on a busy machine it may take a few. Raises NotMeasured."""
    wanted = calls * PACKETS_PER_CALL_S * SETTINGS.window_s
    why = []
    for _ in range(TRIES_MAX):
        try:
            window = measure(relay, generator, calls)
        except GeneratorFailed as failure:
            why.append(str(failure))
            continue
        if window.sent >= (1 - SHORTFALL_MAX) * wanted:
            return window
        sent = window.sent / wanted
        why.append(f"{sent:.0%} of the packets were sent, while others kept {window.others_cores:.1f} cores busy")
    raise NotMeasured(f"{relay.name} with {calls} calls: {'; '.join(why)}")


def measure(relay: Relay, generator: Generator, calls: int) -> Window:
    """One window of ``calls`` calls, warm-up before it, everything deleted after it."""
    generator.order("mirror" if relay.name == BARE else "place", server=str(relay.ng), calls=calls)
    time.sleep(SETTINGS.warm_up_s)
    began, relay_began, generator_began = machine.moment(), relay.cpu_s(), generator.cpu_s()
    before = generator.order("look")
    time.sleep(SETTINGS.window_s)
    ended, relay_s, generator_s = machine.moment(), relay.cpu_s() - relay_began, generator.cpu_s() - generator_began
    after = generator.order("look")
    whole = generator.order("end")
    lasted_s = after["at"] - before["at"]
    packets = after["received"] - before["received"]
    return Window(
        relay=relay.name,
        calls=calls,
        packets_per_s=packets / lasted_s,
        cpu_us_per_packet=relay_s * 1e6 / max(1, packets),
        core=relay_s / lasted_s,
        generator_core=generator_s / lasted_s,
        others_cores=began.others(ended, relay_s + generator_s),
        latency_ms_p50=whole["latency_ms_p50"],
        latency_ms_p99=whole["latency_ms_p99"],
        lost=int(whole["sent"] - whole["received"]),
        sent=int(after["sent"] - before["sent"]),
        wrong={name: int(whole[name]) for name in STATED},
    )


def as_data(window: Window) -> dict[str, object]:
    """For the JSON."""
    return asdict(window)
