"""What the kernel says about processes and cores: CPU, memory, descriptors."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benches.settings import SETTINGS

PAGE = os.sysconf("SC_PAGE_SIZE")
HZ = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU that the threads of a process have used so far; schedstat counts nanoseconds where stat counts ticks."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1e9


def softirq_threads() -> list[int]:
    """The kernel's threads that take over where too many packets come at once; else whoever sends has the work."""
    comms = Path("/proc").glob("[0-9]*/comm")
    return [int(comm.parent.name) for comm in comms if _read(comm).startswith("ksoftirqd/")]


@contextmanager
def awake() -> Iterator[None]:
    """No core sleeps until the end of the block: whoever is woken finds warm caches. Needs root."""
    # Until it is closed (Documentation/power/pm_qos_interface.rst of Linux).
    with open("/dev/cpu_dma_latency", "wb", buffering=0) as latency:
        latency.write(struct.pack("=i", 0))
        yield


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def descriptors(pid: int) -> int:
    """Open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def slab_bytes() -> int:
    """Memory in the kernel's slabs, of the whole machine: sockets are made of it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True, slots=True)
class Moment:
    """The busy time of the whole machine at one moment, to see who else was at work."""

    at: float
    busy_s: float

    def others(self, later: Moment, ours_s: float) -> float:
        """Cores that others kept busy between this moment and ``later``, when ours used ``ours_s``."""
        return max(0.0, (later.busy_s - self.busy_s - ours_s) / (later.at - self.at))


def moment() -> Moment:
    """Now."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return Moment(time.monotonic(), (user + nice + system + irq + softirq + steal) / HZ)


def pin(pid: int, core: int) -> None:
    """Move all threads of a process to a core; threads that they start later follow."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def alone_on(core: int) -> list[str]:
    """What a command begins with that is to have a core for itself.

    Whatever else runs there takes milliseconds at a time, in which packets wait, and not only at the relay: a
    generator that was kept away for 20 ms sends what it owes all at once. So both go first, where that is allowed.
    """
    return ["taskset", "--cpu-list", str(core), *_ahead_of_others()]


@cache
def _ahead_of_others() -> tuple[str, ...]:
    if not SETTINGS.priority or shutil.which("chrt") is None:
        return ()
    ahead = ("chrt", "--fifo", str(SETTINGS.priority))
    allowed = subprocess.run([*ahead, "true"], capture_output=True, check=False).returncode == 0
    return ahead if allowed else ()


def description() -> dict[str, object]:
    """What the figures were measured on, as far as the machine knows."""
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "rtpengine": _version(["rtpengine", "--version"]),
        "commit": _version(["git", "describe", "--always", "--dirty"]),
        "load_average": os.getloadavg(),
        "priority": " ".join(_ahead_of_others()) or "as everybody",
    }


def _processor() -> str | None:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None


def _version(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip() or None
