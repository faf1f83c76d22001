"""A port that cannot be had is said in a sentence before anything is started."""

import os
import socket

import pytest

from mediaha.model.address import Address
from mediaha.model.site import MediaServerSpec
from mediaha.ops.ports import PortsUnavailable, Wanted, check_ports, check_ranges, ports_of_others


def test_the_process_in_the_way_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PortsUnavailable) as caught:
            check_ports([Wanted("NeTS nets-1", Address("127.0.0.1", port), "--listen")])
    assert str(caught.value).startswith(f"NeTS nets-1 needs 127.0.0.1:{port}/udp, but process {os.getpid()} (")
    assert str(caught.value).endswith("choose another port with --listen")


def test_every_port_is_tried_and_an_address_of_another_machine_is_named():
    wanted = [Wanted("one", Address("192.0.2.1", 5060), "--a"), Wanted("two", Address("2001:db8::1", 5060), "--b")]
    with pytest.raises(PortsUnavailable) as caught:
        check_ports(wanted)
    first, second = str(caught.value).splitlines()
    assert "192.0.2.1 is not an address of this machine" in first
    assert second.startswith("two cannot use [2001:db8::1]:5060/udp")


def test_free_ports_are_no_trouble():
    check_ports([Wanted("one", Address("127.0.0.1", 0), "--a")])


def test_who_has_one_port_of_a_range_is_passed_over_and_who_has_all_is_in_the_way():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        def relay(first, last):
            ng = Address("127.0.0.1", 2223)
            return MediaServerSpec("media-1", "here", ng, interfaces=("127.0.0.1",), ports=(first, last))

        with pytest.raises(PortsUnavailable) as caught:
            check_ranges([relay(port, port)])
        check_ranges([relay(port - 50, port + 50)])
    assert str(caught.value).startswith(f"media server media-1 needs ports for RTP, but all of {port}-{port} on 127.")
    assert "--ports" in str(caught.value)


def test_the_ports_of_others_are_those_that_a_process_has_not_bound_itself():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
    ):
        one.bind(("127.0.0.1", 0))
        six.bind(("::1", 0))
        bound = {one.getsockname()[1], six.getsockname()[1]}
        assert bound <= ports_of_others(os.getppid())
        assert bound <= ports_of_others(None)
        assert not bound & ports_of_others(os.getpid())
