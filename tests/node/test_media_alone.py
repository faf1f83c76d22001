"""One media server as a process, asked over ng like any client would."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from tests.peers.ports import free_udp_port, rtp_ports

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Client:
    """Asks a media server in JSON and waits for each answer."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", port))
        self.asked = 0

    def ask(self, command, **facts):
        self.asked += 1
        self.socket.send(f"{self.asked} ".encode() + json.dumps({"command": command, **facts}).encode())
        return json.loads(self.socket.recv(65535).partition(b" ")[2])

    def offer(self, call_id):
        return self.ask("offer", **{"call-id": call_id, "from-tag": "a", "sdp": SDP})

    def delete(self, call_id):
        return self.ask("delete", **{"call-id": call_id, "from-tag": "a", "delete-delay": 0})


@pytest.fixture
def alone():
    """A running media server and a client of it."""
    port = free_udp_port()
    command = [sys.executable, "-m", "mediaha", "serve", "--role", "media", "--listen-ng", f"127.0.0.1:{port}"]
    command += ["--ports", "{}-{}".format(*rtp_ports())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with process:
        process.stdout.readline()
        client = Client(port)
        try:
            yield process, client
        finally:
            client.socket.close()
            process.kill()


def test_sigterm_refuses_new_calls_and_waits_for_the_last_one(alone):
    process, client = alone
    assert client.offer("one")["result"] == "ok"
    process.terminate()
    refused = client.offer("two")
    while refused["result"] == "ok":  # the signal is on its way
        client.delete("two")
        refused = client.offer("two")
    assert refused["result"] in ("error", "load limit")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    assert client.delete("one")["result"] == "ok"
    assert process.wait(60) == 0


def test_a_second_sigterm_does_not_wait(alone):
    process, client = alone
    assert client.offer("one")["result"] == "ok"
    process.terminate()
    while client.offer("two")["result"] == "ok":
        client.delete("two")
    process.terminate()
    assert process.wait(60) == 0


def test_it_is_drained_and_undrained_by_signals(alone):
    process, client = alone
    process.send_signal(signal.SIGUSR1)
    while client.offer("one")["result"] == "ok":
        client.delete("one")
    process.send_signal(signal.SIGUSR2)
    while client.offer("one")["result"] != "ok":
        pass
    assert client.ask("statistics")["statistics"]["currentstatistics"]["streams"] == 1
