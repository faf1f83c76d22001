"""`mediaha drill` as a person runs it, with each fault, on a site of its own."""

import json
import os
import subprocess
import sys

import pytest

from tests.peers.installed import needs, unless
from tests.peers.site import MARK

KEYS = {
    "calls",
    "calls_lost",
    "streams",
    "fault",
    "target",
    "moved_to",
    "gap_ms",
    "lost_packets",
    "detection_ms",
    "all_resumed_ms",
    "setup_ms",
}
cut = pytest.param(
    "cut",
    marks=[
        pytest.mark.namespace,
        unless(None if os.geteuid() == 0 else "packets can be dropped by root only"),
        needs("nft", "nftables"),
    ],
)


def drill(folder, *arguments):
    """Run it; gives the finished process."""
    command = [sys.executable, "-m", "mediaha", "drill", *arguments]
    marked = {**os.environ, MARK: str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=marked)


@pytest.mark.parametrize("fault", ["kill", "lose", "hang", "drain", cut])
def test_a_drill_loses_no_call_and_reports_what_it_saw(fault, tmp_path):
    picture = tmp_path / "drill.svg"
    done = drill(tmp_path, "--calls", "6", "--fault", fault, "--json", "--plot", str(picture))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report.keys() >= KEYS
    assert (report["calls"], report["calls_lost"], report["streams"]) == (6, 0, 12)
    assert (report["fault"], report["target"]) == (fault, "media-1")
    assert (report["strangers_heard"], report["corrupt_packets"]) == (0, 0)
    assert report["gap_ms"].keys() == report["setup_ms"].keys() == {"p50", "p99", "max"}
    if fault == "drain":
        assert report["detection_ms"] is None, "a drained server is not dead"
    elif fault == "kill":
        assert report["moved_to"] == {}, "another process goes on"
    else:
        assert report["moved_to"] == {"media-2": 6}
        # Of a server that is known to be lost at once the calls may have moved between two packets.
        assert fault == "lose" or report["lost_packets"] > 0
        assert report["detection_ms"] is not None
        assert report["all_resumed_ms"] is None or report["all_resumed_ms"] >= report["detection_ms"]
    assert picture.read_text().lstrip().startswith("<svg")


def test_a_drill_that_cannot_be_done_harms_nothing_and_says_what_is_missing(tmp_path):
    done = drill(tmp_path, "--calls", "1", "--target", "media-3")
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no media server media-3; it has media-1, media-2" in done.stderr
