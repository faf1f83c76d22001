"""What status says of a media server, from whatever is known of it."""

from mediaha.model.media import ServerCondition, ServerView
from mediaha.ops.inquiry import statistics_untrusted
from mediaha.ops.kept import Running, Waiting
from mediaha.ops.status import Clocks, server_status
from mediaha.tca import standalone_site

SPEC = standalone_site().media[0]
NOW = Clocks(1_700_000_000.0, 500.0, 90.0)


def status(view=None, process=None, statistics=None):
    return server_status(SPEC, NOW, view=view, process=process, statistics=statistics)


def test_the_pool_knows_best_and_the_supervisor_adds_when_it_comes_back():
    view = ServerView("media-1", "127.0.0.1:2223", ServerCondition.DEAD, "process exited", 498.0, 3, 0.2)
    found = status(view, Waiting("process exited", 88.0, 91.5))
    assert (found.state, found.why, found.for_s) == ("dead", "process exited; starts again in 1.5 s", 2.0)
    assert found.since == "2023-11-14T22:13:18.000+00:00"
    assert (found.calls, found.pid, found.process) == (3, None, "waiting")


def test_a_host_without_a_pool_shows_its_processes():
    found = status(process=Running(42, 80.0))
    assert (found.state, found.for_s, found.pid, found.calls) == ("running", 10.0, 42, None)
    assert status().state == "unknown"


def test_streams_are_counted_by_our_servers_and_by_rtpengine():
    ours = {"currentstatistics": {"sessionstotal": 2, "streams": 3}}
    theirs = {"currentstatistics": {"sessionstotal": 2, "media_userspace": 1, "media_kernel": 2, "media_mixed": 0}}
    for statistics in (ours, theirs):
        found = status(statistics=statistics)
        assert (found.sessions, found.streams) == (2, 3)
    assert status(statistics={"currentstatistics": "odd"}).streams is None


def test_what_forwards_the_packets_is_the_servers_own_word():
    ours = {"currentstatistics": {"datapath": "steered", "datapathreason": "it works here"}}
    found = status(statistics=ours)
    assert (found.datapath, found.datapath_reason) == ("steered", "it works here")
    assert status(statistics={"currentstatistics": {"datapath": 7}}).datapath is None
    assert status().datapath is None


def test_how_full_a_server_is_and_why_it_takes_nobody_is_its_own_word():
    current = {"busypermille": 231, "expectedpermille": 905, "busypermillemax": 900, "refuses": "it is busy"}
    found = status(statistics={"currentstatistics": current})
    assert (found.busy_percent, found.expected_percent, found.busy_percent_max) == (23.1, 90.5, 90.0)
    assert found.refuses == "it is busy"
    assert (status().expected_percent, status().refuses) == (None, None)


def test_what_was_dropped_is_told_with_when_and_how_fast():
    growing = {"count": 120, "rate": 7, "since": 1_699_999_980, "last": 1_699_999_998}
    found = status(statistics={"dropped": {"overflow": growing, "stun": {"count": 0}, "stranger": {"count": 3}}})
    assert [(one.what, one.count, one.per_s, one.for_s, one.ago_s) for one in found.dropped] == [
        ("overflow", 120, 7, 18.0, 2.0),
        ("stranger", 3, 0, None, None),
    ]
    assert found.dropped[0].since == "2023-11-14T22:13:00+00:00"


def test_what_makes_no_sense_in_a_foreign_answer_is_passed_over():
    for odd in (7, [], {"x": 7}, {"x": {"count": "7"}}, {"x": {"count": None}}):
        assert status(statistics={"dropped": odd, "currentstatistics": odd}).dropped == []
    odd = {"count": 1, "rate": "a", "since": -5, "last": 10**30}
    assert [(one.count, one.since) for one in status(statistics={"dropped": {"x": odd}}).dropped] == [(1, None)]


def test_any_answer_to_the_question_for_statistics_is_survived():
    assert statistics_untrusted(b'{"result":"ok","statistics":{"a":1}}') == {"a": 1}
    for junk in (b"", b"d6:result2:oke", b"[]", b"{" * 10000, b'{"statistics":7}', b"\xff"):
        assert statistics_untrusted(junk) is None
