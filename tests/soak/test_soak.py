"""A short soak with every run of the tests; `make soak` takes ten minutes."""

import shutil
import subprocess
import sys

import pytest

from tests.peers import netns

NEEDED = ("sipp", "nft")
SHORT = ["--seconds", "6", "--rate", "25", "--talk", "2", "--loss", "3", "--t1", "150", "--vanish", "0"]
"""All timers of SIP go by T1: so ten seconds after the last call, nothing may be left."""


@pytest.mark.interop
@pytest.mark.namespace
@pytest.mark.timeout(300)
@pytest.mark.skipif(netns.missing() is not None, reason=str(netns.missing()))
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="apt-get install sip-tester nftables")
def test_nothing_is_left_of_calls_over_a_network_that_loses_packets():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak", *SHORT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
