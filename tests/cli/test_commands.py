"""The command line, used as a person uses it: right, wrong, and in a hurry."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mediaha.cli import main
from tests.peers.ports import free_udp_port

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "site.toml"


def mediaha(*words, **options):
    """Run a command to its end."""
    command = [sys.executable, "-m", "mediaha", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("status",),
        ("explain",),
        ("trace",),
        ("drain",),
        ("undrain",),
        ("upgrade",),
        ("check-config",),
        ("hash-secret",),
        ("drill",),
    ],
)
def test_every_command_has_help_that_does_not_load_what_it_needs(command):
    script = """
import sys, mediaha.cli
sys.argv[1:] = {!r}
try:
    mediaha.cli.main()
except SystemExit as end:
    print("loaded", *sys.modules, sep="\\n")
    sys.exit(end.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script.format([*command, "--help"])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown, _, loaded = done.stdout.partition("loaded\n")
    assert "Usage: mediaha" in shown
    assert not {"trio", "structlog", "mediaha._core", "mediaha.sip"} & set(loaded.split())


def test_help_does_not_wait_for_what_it_does_not_need():
    look = "import sys, atexit; atexit.register(lambda: print(sorted({'trio', 'mediaha._core'} & set(sys.modules))))"
    command = [sys.executable, "-c", f"{look}; sys.argv[1:] = ['--help']; from mediaha.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "drill" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_site_file_that_is_right_is_said_to_be():
    done = mediaha("check-config", EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 hosts, 3 media servers, 2 NeTS, 3 domains" in done.stdout


def test_a_misspelt_key_stops_check_and_serve_with_its_place(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(EXAMPLE.read_text().replace("interfaces", "interface"))
    checked = mediaha("check-config", file)
    assert checked.returncode == 1
    assert f"{file}:21: unknown key 'interface' in media; did you mean 'interfaces'?" in checked.stdout
    served = mediaha("serve", file, "--host", "alpha")
    assert served.returncode == 1
    assert f"mediaha: {file}:21: unknown key 'interface' in media; did you mean 'interfaces'?" in served.stderr
    assert "Traceback" not in served.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listen", "nowhere"), "mediaha: --listen: 'nowhere' is not an IP address"),
        (("--listen", "tcp:nowhere"), "mediaha: --listen: 'nowhere' is not an IP address"),
        (("--listen", "tls:127.0.0.1"), "mediaha: --listen: TLS needs certificates; name them in a site file"),
        (("--target", "127.0.0.1:x"), "mediaha: --target: '127.0.0.1:x' is not an address; write HOST:PORT"),
        (("--ports", "1-2"), "mediaha: --ports 1-2: a range goes upwards, from 1024"),
        (("--ports", "30000-30005"), "mediaha: --ports 30000-30005 is too narrow for 2 media servers"),
        (("--media", "0"), "mediaha: --media 0 is not between 1 and 64"),
        (("--listen-ng", "127.0.0.1:1"), "mediaha: --listen-ng cannot go with the role all; add --role media"),
        (("--role", "media", "--listen", "127.0.0.1:1"), "mediaha: --listen cannot go with --role media"),
        (("--role", "media", "--interface", "x/y"), "mediaha: --interface: interface 'x/y': 'y' is not an IP address"),
        (("--role", "media", "--workers", "0"), "mediaha: --workers 0 is not between 1 and 256"),
        (("--role", "media", "--silence-seconds", "nan"), "mediaha: --silence-seconds nan is not between 0.1 and"),
        (
            ("--role", "media", "--busy-percent-max", "101"),
            "mediaha: --busy-percent-max 101 is not between 10 and 100",
        ),
        (("--drain-seconds", "-1"), "mediaha: --drain-seconds -1 is not between 0 and 86400"),
        ((EXAMPLE, "--datapath", "steered"), "mediaha: --datapath cannot go with a site file, which says it itself"),
        ((EXAMPLE,), "mediaha: the site 'example' has the hosts alpha, beta; say which one this is with --host NAME"),
        (
            (EXAMPLE, "--host", "alpah"),
            "mediaha: --host alpah: the site 'example' has no such host; did you mean 'alpha'?",
        ),
        ((EXAMPLE, "--media", "3"), "mediaha: --media cannot go with a site file, which says it itself"),
        (("/nowhere/site.toml",), "mediaha: /nowhere/site.toml: cannot be read: no such file or directory"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(words, said, capsys):
    # Nothing has begun to run when it is found, so that no process is needed.
    with pytest.raises(SystemExit) as end:
        main(["serve", *map(str, words)])
    assert end.value.code == 1
    complaint = capsys.readouterr().err
    said_first = "\n".join(line for line in complaint.splitlines() if ": warning: " not in line)
    assert said_first.startswith(said), complaint
    assert "Traceback" not in complaint


def test_a_host_whose_address_is_not_of_this_machine_says_so():
    done = mediaha("serve", EXAMPLE, "--host", "alpha")
    assert done.returncode == 1
    assert "mediaha: NeTS nets-alpha cannot use 192.0.2.11:5060/udp: 192.0.2.11 is not an" in done.stderr
    assert "Traceback" not in done.stderr


def test_asking_when_nobody_serves_says_so(tmp_path):
    done = mediaha("status", "--control", tmp_path / "none.sock")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"mediaha: no mediaha answers on {tmp_path / 'none.sock'}: no such file or directory"
    )


def test_one_media_server_says_where_it_is_and_ends_when_asked():
    port = free_udp_port()
    command = [sys.executable, "-m", "mediaha", "serve", "--role", "media", "--listen-ng", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert f"ng on 127.0.0.1:{port}/udp" in process.stdout.readline()
        second = mediaha("serve", "--role", "media", "--listen-ng", f"127.0.0.1:{port}")
        assert second.returncode == 1
        assert second.stderr == (
            f"mediaha: media server media needs 127.0.0.1:{port}/udp, but process {process.pid} (python) has it; "
            "end that, or choose another port with --listen-ng\n"
        )
        process.terminate()
        assert process.wait(60) == 0
        events = [json.loads(line)["event"] for line in process.stderr]
        assert events[-1] == "stopped"


@pytest.mark.parametrize("words", [("serve", "--workers", "1.5"), ("drill", "--calls", "9e1")])
def test_what_is_no_whole_number_is_not_made_one(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert f"{words[2]!r} is not a whole number" in " ".join(capsys.readouterr().err.split())


def test_what_is_no_socket_is_not_called_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["status", "--control", str(tmp_path)])
    assert end.value.code == 1
    assert capsys.readouterr().err == f"mediaha: no mediaha answers on {tmp_path}: that is no socket\n"
