"""A tone that tells the time: each 20 ms of it has a pitch of its own, so a recording shows which parts are missing.

The pitches are multiples of 50 Hz, one whole number of periods each in 20 ms, so a frame's pitch is the strongest
of its Fourier coefficients. They repeat after 1.2 s: gaps up to 1.1 s are measured without doubt. A step backwards is
a phone that concealed a late packet, not a loss.
"""

from __future__ import annotations

import cmath
import math
import wave
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

RATE = 8000
FRAME = 160
FRAME_MS = 20
PITCHES = range(6, 66)
"""In units of 50 Hz: 300 to 3250 Hz."""

_WAVES = {n: [cmath.exp(-2j * math.pi * n * i / FRAME) for i in range(FRAME)] for n in PITCHES}
LOUD_MIN = 200_000
GAP_FRAMES_MAX = 55
"""What looks longer is a step back."""


def write(path: Path, seconds: int) -> None:
    """A WAV file of so many seconds."""
    cycle = array("h")
    for n in PITCHES:
        cycle.extend(round(8000 * math.sin(2 * math.pi * n * i / FRAME)) for i in range(FRAME))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        repeats = seconds * RATE // len(cycle) + 1
        out.writeframes((cycle * repeats)[: seconds * RATE].tobytes())


@dataclass(frozen=True)
class Heard:
    """What a recording contains."""

    frames: int
    """Frames with a clear pitch."""
    gap_ms: int
    """The longest run of the melody that is missing between two heard frames."""
    gaps: int
    """How many times a part was missing."""
    frames_after_gap: int
    """Frames heard after the longest gap."""


def listen(path: Path) -> Heard:
    """Read a recording made by a phone that heard the melody."""
    with wave.open(str(path), "rb") as recording:
        assert recording.getframerate() == RATE
        assert recording.getnchannels() == 1
        samples = array("h", recording.readframes(recording.getnframes()))
    pitches = [_pitch(samples[at : at + FRAME]) for at in range(0, len(samples) - FRAME + 1, FRAME)]
    heard = [(index, pitch) for index, pitch in enumerate(pitches) if pitch is not None]
    longest = missing_times = after = 0
    for (_, pitch), (next_index, next_pitch) in pairwise(heard):
        missing = (next_pitch - pitch - 1) % len(PITCHES)
        if missing > GAP_FRAMES_MAX:
            continue
        if missing:
            missing_times += 1
        if missing > longest:
            longest, after = missing, sum(1 for i, _ in heard if i >= next_index)
    return Heard(len(heard), longest * FRAME_MS, missing_times, after)


def _pitch(frame: array[int]) -> int | None:
    strength = {n: abs(sum(s * w for s, w in zip(frame, table, strict=True))) for n, table in _WAVES.items()}
    best = max(strength, key=lambda n: strength[n])
    return best - PITCHES.start if strength[best] > LOUD_MIN else None
