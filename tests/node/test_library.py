"""``import mediaha`` gives the parts by name, and costs nothing until one is used."""

import subprocess
import sys
from pathlib import Path

import mediaha


def test_every_public_name_is_there_and_says_what_it_is():
    for name in mediaha._HOME_OF:
        assert name in dir(mediaha)
        assert getattr(mediaha, name).__doc__, f"mediaha.{name} has no docstring"


def test_the_names_of_the_module_are_those_that_type_checkers_see():
    text = Path(mediaha.__file__).read_text()
    typed = {line.rpartition(" as ")[2] for line in text.splitlines() if " as " in line and "import" in line}
    assert typed == set(mediaha._HOME_OF)


def test_importing_it_loads_no_part():
    script = "import sys, mediaha; print(*[name for name in sys.modules if name.startswith('mediaha.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == ""
