"""The examples that a stranger runs first."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments):
    """What the example prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_load_hears_all_that_was_sent():
    printed = run("load.py", "10", "1")
    assert ", 0 lost, 0 corrupt" in printed


def test_the_pool_tells_where_the_call_went():
    printed = run("pool.py")
    assert re.search(r"^(first|second), \d+ ms later: caller sends to port 2\d+, callee to port 2\d+$", printed, re.M)
