"""A process that may have few files raises what it may, and takes fewer connections where that is not enough."""

import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from mediaha.ops.files import room_for
print(room_for(1000), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "room"),
    [
        (256, 4096, (1000, 1512, 4096)),
        (256, 800, (288, 800, 800)),
        (4096, 4096, (1000, 4096, 4096)),
        (100, 100, (1, 100, 100)),
    ],
)
def test_room_is_made_as_far_as_it_may(soft, hard, room):
    if hard > resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 0:
        pytest.skip("fewer files than that are allowed here")
    script = SCRIPT.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert tuple(map(int, done.stdout.split())) == room
