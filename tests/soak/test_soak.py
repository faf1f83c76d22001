"""A short soak with every run of the tests; `make soak` takes ten minutes."""

import subprocess
import sys

import pytest

from tests.peers import netns
from tests.peers.installed import needs, unless

SHORT = ["--seconds", "6", "--rate", "25", "--talk", "2", "--loss", "3", "--t1", "150", "--vanish", "0"]
"""All timers of SIP go by T1: so ten seconds after the last call, nothing may be left."""


@pytest.mark.interop
@pytest.mark.namespace
@pytest.mark.timeout(300)
@unless(netns.missing())
@needs("sipp", "sip-tester")
@needs("nft", "nftables")
def test_nothing_is_left_of_calls_over_a_network_that_loses_packets():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak", *SHORT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
