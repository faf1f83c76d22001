"""A site is started while others want the same things."""

import socket
import time

from tests.peers.site import Site, left_over


def test_a_port_that_is_taken_while_the_media_servers_start_is_named_too(tmp_path):
    """The control socket is there once the ports have been checked; NeTS listens once the media servers run."""
    with Site(tmp_path) as site, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        while not site.control.exists():
            assert site.process.poll() is None, site.log()
            time.sleep(0.001)
        somebody.bind(("127.0.0.1", site.port))
        assert site.process.wait(40) == 1
    assert f"mediaha: NeTS nets-1 needs {site.address}/udp, but process" in site.log()
    assert "Traceback" not in site.log()
    assert left_over(tmp_path) == []
