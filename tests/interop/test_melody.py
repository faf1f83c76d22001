"""The measure itself: the melody must show what is missing from a recording, or no gap below means anything."""

import wave

from tests.peers import melody


def record(path, frames):
    """A recording that contains only the given 20 ms frames of the melody."""
    melody.write(path, 4)
    with wave.open(str(path), "rb") as source:
        samples = source.readframes(source.getnframes())
    size = melody.FRAME * 2
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(melody.RATE)
        out.writeframes(b"".join(samples[n * size : (n + 1) * size] for n in frames))


def test_a_whole_recording_has_no_gap(tmp_path):
    record(tmp_path / "whole.wav", range(150))
    assert melody.listen(tmp_path / "whole.wav") == melody.Heard(150, 0, 0, 0)


def test_what_is_missing_is_measured(tmp_path):
    record(tmp_path / "cut.wav", [*range(50), *range(57, 100), *range(102, 150)])
    assert melody.listen(tmp_path / "cut.wav") == melody.Heard(141, 7 * 20, 2, 91)


def test_silence_is_not_taken_for_the_melody(tmp_path):
    with wave.open(str(tmp_path / "silence.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(melody.RATE)
        out.writeframes(b"\0\0" * 8000)
    assert melody.listen(tmp_path / "silence.wav").frames == 0
