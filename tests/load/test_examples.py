"""The examples that a stranger runs first."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mediaha.cli.check import check_config
from tests.peers.ng import ask_ng
from tests.peers.ports import free_udp_port

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments):
    """What the example prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


def test_the_load_hears_all_that_was_sent():
    printed = run("load.py", "10", "1")
    assert ", 0 lost, 0 corrupt" in printed


def test_the_pool_tells_where_the_call_went():
    printed = run("pool.py")
    assert re.search(r"^(first|second), \d+ ms later: caller sends to port 2\d+, callee to port 2\d+$", printed, re.M)


def test_both_phones_are_told_where_the_call_goes_on():
    printed = run("nets.py")
    (stopped,) = re.findall(r"-- (first|second) is stopped", printed)
    for phone in ("caller", "callee"):
        before, after = re.findall(rf"{phone} is told to send to port (\d+)", printed)
        assert before != after
    (other,) = {"first", "second"} - {stopped}
    assert f"'from_server': '{stopped}', 'server': '{other}'" in printed


def test_the_relay_answers_until_it_is_interrupted():
    address = f"127.0.0.1:{free_udp_port()}"
    command = [sys.executable, str(EXAMPLES / "relay.py"), address]
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unbuffered) as relay:
        try:
            assert any(line.startswith(f"ng on {address}") for line in relay.stdout)
            assert ask_ng(address, command="ping")["result"] == "pong"
            relay.send_signal(signal.SIGINT)
            assert "stopped" in relay.communicate(timeout=30)[0]
        finally:
            relay.kill()


@pytest.mark.parametrize("file", ["site.toml", "recipes/site.toml"])
def test_the_site_files_are_right(file, capsys):
    assert check_config(EXAMPLES / file) == 0, capsys.readouterr().out
