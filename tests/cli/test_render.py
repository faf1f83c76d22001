"""What `mediaha status` shows a person."""

from collections.abc import Sequence
from dataclasses import replace

from mediaha.cli.render import datapaths, duration, print_status
from mediaha.cli.story import print_story
from mediaha.ops.inquiry import Statistics
from mediaha.ops.status import Clocks, ListenerStatus, NetsStatus, NodeStatus, ServerStatus, server_status
from mediaha.tca import standalone_site

SPEC = standalone_site().media[0]
NOW = Clocks(1_700_000_000.0, 500.0, 90.0)


def server(name: str, datapath: str | None = None, reason: str | None = None) -> ServerStatus:
    statistics: Statistics = {"currentstatistics": {"datapath": datapath, "datapathreason": reason}}
    return server_status(replace(SPEC, name=name), NOW, view=None, process=None, statistics=statistics)


def node(*servers: ServerStatus, nets: Sequence[NetsStatus] = ()) -> NodeStatus:
    return NodeStatus(
        site="office",
        host="alpha",
        pid=42,
        version="1",
        for_s=61.0,
        draining=False,
        nets=list(nets),
        servers=list(servers),
        changes=[],
        domains={},
        log_lines_dropped=0,
    )


def test_why_a_datapath_was_taken_is_said_once_for_all_servers_alike():
    servers = [server("a", "steered", "it works here"), server("b", "steered", "it works here"), server("foreign")]
    assert list(datapaths([*servers, server("c", "sockets", "asked for")])) == [
        "datapath steered of a, b: it works here",
        "datapath sockets of c: asked for",
    ]


def test_a_person_reads_which_datapath_there_is_and_why(capsys):
    print_status(node(server("media-1", "sockets", "port 40000 [and others] are given to programs")))
    shown = capsys.readouterr().out
    assert "site office, host alpha, process 42, up for 1 min 1 s" in shown
    assert "datapath sockets of media-1: port 40000 [and others] are given to programs" in shown


def test_a_person_reads_how_full_a_server_is_and_what_it_loses(capsys):
    statistics: Statistics = {
        "currentstatistics": {"expectedpermille": 950, "busypermillemax": 900, "refuses": "its calls need more"},
        "dropped": {"overflow": {"count": 1234, "rate": 56, "since": 1_699_999_900, "last": 1_699_999_999}},
        "refusedcalls": {"load": {"count": 2, "rate": 0, "since": 1_699_999_000, "last": 1_699_999_940}},
    }
    print_status(node(server_status(SPEC, NOW, view=None, process=None, statistics=statistics), server("idle")))
    shown = capsys.readouterr().out
    assert "95 of 90 %" in shown
    assert "media-1 refuses new calls now: its calls need more" in shown
    rows = [line.split() for line in shown.splitlines() if "packets:" in line or "calls: load" in line]
    assert [" ".join(row) for row in rows] == [
        "media-1 calls: load 2 not for 1 min 0 s refused: it was too busy",
        "media-1 packets: overflow 1,234 56 a second for 1 min 39 s came faster than they could be read",
    ]
    assert "idle refuses" not in shown


def test_an_ipv6_address_is_no_markup(capsys):
    listen = "[fd00::1]:5060/udp"
    nets = NetsStatus(name="n", listen=[listen], calls=0, taking_calls=True, listeners=[ListenerStatus(listen=listen)])
    print_status(node(nets=[nets]))
    assert "NeTS n on [fd00::1]:5060/udp: 0 calls" in capsys.readouterr().out


def test_a_time_is_said_as_exactly_as_a_person_needs_it():
    assert [duration(seconds) for seconds in (4.21, 723, 11_100, 187_200)] == [
        "4.2 s",
        "12 min 3 s",
        "3 h 5 min",
        "2 d 4 h",
    ]


def test_a_story_is_told_in_words_and_not_in_pythons(capsys):
    event = {"ms": 2.7, "what": "placed", "servers": ["a", "b"], "offer": True, "took_ms": 8.993}
    print_story({"call_id": "c", "placed_at": "now", "state": "over", "events": [event]})
    assert "+2.7 ms  placed  servers a then b, offer yes, took 9.0 ms" in capsys.readouterr().out
