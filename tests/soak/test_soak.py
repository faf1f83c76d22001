"""A short soak with every run of the tests; `make soak` takes ten minutes."""

import shutil
import subprocess
import sys

import pytest

from tests.peers import netns

NEEDED = ("sipp", "nft")


@pytest.mark.interop
@pytest.mark.namespace
@pytest.mark.timeout(300)
@pytest.mark.skipif(netns.missing() is not None, reason=str(netns.missing()))
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="apt-get install sip-tester nftables")
def test_nothing_is_left_of_calls_over_a_network_that_loses_packets():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--seconds", "8", "--rate", "20", "--loss", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
