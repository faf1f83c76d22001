"""Look for programs that break a NeTS, guided by what of its code they reach: `python -m tests.fuzz FOLDER ...`.

Needs Atheris (`pip install atheris`; it is libFuzzer, and takes its options: `-max_total_time=60`, `-runs=10000`).
The first folder gets the programs that reach something new. A program that breaks something is left in `crash-...`,
and is run again with `python -m tests.fuzz --again FILE`, which needs nothing and prints what was said.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    if sys.argv[1:2] == ["--again"]:
        from tests.fuzz.program import survives  # noqa: PLC0415

        for name in sys.argv[2:]:
            survives(Path(name).read_bytes(), tell=True)
        return
    import atheris  # noqa: PLC0415

    # Only what is imported from here on is watched: our own code, and not what runs it.
    with atheris.instrument_imports(include=["mediaha.nets", "mediaha.sip"]):
        from tests.fuzz.program import survives  # noqa: PLC0415
    atheris.Setup([sys.argv[0], "-timeout=20", "-max_len=600", *sys.argv[1:]], survives)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
