"""A host that runs media servers only: kept running, watched, reloaded and stopped."""

import contextlib
import os
import signal
import time

import pytest

from tests.peers.ports import free_udp_port, rtp_ports
from tests.peers.site import Site

SITE = """\
name = "media-only"
[[hosts]]
name = "beta"
address = "127.0.0.1"
[[media]]
name = "first"
host = "beta"
ng = "127.0.0.1:{first}"
ports = "{ports[0][0]}-{ports[0][1]}"
[[media]]
name = "second"
host = "beta"
ng = "127.0.0.1:{second}"
ports = "{ports[1][0]}-{ports[1][1]}"
[[domains]]
name = "*"
media = ["first", "second"]
targets = ["127.0.0.1:5070"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(first=free_udp_port(), second=free_udp_port(), ports=[rtp_ports(), rtp_ports()]))
    return path


@pytest.fixture
def host(file):
    """The host, with both of its media servers running."""
    with Site(file.parent, str(file), standalone=False) as site:
        site.wait_until(both_run, "both media servers run")
        yield site


def both_run(status):
    return [server["process"] for server in status["servers"]] == ["running", "running"]


def gone(pid):
    """Whether a process has ended; a child that nobody has waited for yet counts as ended."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(true, what, timeout=10):
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_a_killed_media_server_is_started_again(host):
    pid = host.signal("first", signal.SIGKILL)
    status = host.wait_until(lambda status: both_run(status) and status["servers"][0]["pid"] != pid, "a new process")
    assert status["servers"][1]["for_s"] > status["servers"][0]["for_s"]
    assert '"why":"process exited with signal 9 (SIGKILL)"' in host.log()


def test_media_servers_end_with_their_supervisor_however_it_ends(host):
    pids = [server["pid"] for server in host.status()["servers"]]
    host.process.kill()
    wait_until(lambda: all(gone(pid) for pid in pids), "the media servers are still there")


def test_a_stopped_media_server_does_not_hold_up_the_end(host):
    host.signal("first", signal.SIGSTOP)
    pids = [server["pid"] for server in host.status()["servers"]]
    host.process.terminate()
    assert host.process.wait(60) == 0
    assert all(gone(pid) for pid in pids)
    assert not host.control.exists()


def test_a_reload_adds_and_takes_out_media_servers(host, file):
    before = file.read_text()
    ng, (first, last) = free_udp_port(), rtp_ports()
    third = f'[[media]]\nname = "third"\nhost = "beta"\nng = "127.0.0.1:{ng}"\nports = "{first}-{last}"\n'
    file.write_text(before.replace('"first", "second"', '"second", "third"') + third)
    host.process.send_signal(signal.SIGHUP)
    host.wait_until(
        lambda status: len(status["servers"]) == 3 and status["servers"][2]["process"] == "running", "the third runs"
    )
    assert host.status()["domains"] == {"*": ["second", "third"]}
    pid = host.server("first")["pid"]
    file.write_text(file.read_text().replace('name = "first"\nhost = "beta"', 'name = "other"\nmanaged = false'))
    host.process.send_signal(signal.SIGHUP)
    host.wait_until(lambda status: "first" not in [server["name"] for server in status["servers"]], "the first left")
    wait_until(lambda: gone(pid), "the process of the first is still there")


def test_a_bad_file_on_reload_is_reported_and_the_old_one_stays(host, file):
    pids = [server["pid"] for server in host.status()["servers"]]
    file.write_text(file.read_text().replace("ports", "prots", 1))
    host.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: "unknown key 'prots' in media; did you mean 'ports'?" in host.log(), "the mistake is not logged"
    )
    assert f"{file}:9: unknown key" in host.log()
    assert [server["pid"] for server in host.status()["servers"]] == pids


def test_an_unknown_server_cannot_be_drained_and_a_known_one_is_told(host):
    asked = host.ask("drain", "frist")
    assert asked.returncode == 1
    assert asked.stderr == "mediaha: there is no media server 'frist'; did you mean 'first'?\n"
    assert host.ask("drain", "first").returncode == 0
    wait_until(lambda: '"event":"draining","server":"first"' in host.log(), "the media server was not told")
    assert host.ask("undrain", "first").returncode == 0
    wait_until(lambda: '"event":"taking calls again","server":"first"' in host.log(), "the media server was not told")


def test_status_is_a_table_for_people(host):
    lines = host.ask("status").stdout.splitlines()
    assert lines[0].startswith("site media-only, host beta, process ")
    assert lines[1].split()[:3] == ["media", "server", "state"]
    assert lines[2].split()[:2] == ["first", "running"]


def test_a_second_one_on_the_same_control_socket_is_told(host, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(SITE.format(first=free_udp_port(), second=free_udp_port(), ports=[rtp_ports(), rtp_ports()]))
    with Site(tmp_path, str(other), standalone=False) as second:
        assert second.process.wait(20) == 1
    assert f"mediaha: another mediaha answers on the control socket {host.control}" in second.log()


def test_a_log_that_nobody_reads_does_not_stop_anything(file):
    """Its standard error is a pipe that is full: media servers are still started again, questions still answered."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    try:
        with Site(file.parent, str(file), standalone=False, log_to=writer) as host:
            host.wait_until(both_run, "both media servers run")
            pid = host.signal("first", signal.SIGKILL)
            host.wait_until(lambda status: both_run(status) and status["servers"][0]["pid"] != pid, "a new process")
            host.process.terminate()
            assert host.process.wait(60) == 0
    finally:
        os.close(reader)
        os.close(writer)
