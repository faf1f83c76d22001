"""Which notices wait for a slow reader."""

from hypothesis import given
from hypothesis import strategies as st

from mediaha.failover.notices import Backlog
from mediaha.model.media import Moved, ServerChanged, ServerCondition, Stranded


def moved(call, to):
    return Moved(call, "a", to, None, None, ())


def stranded(call):
    return Stranded(call, "a", "nobody left")


def changed(server):
    return ServerChanged(server, ServerCondition.DEAD, "silent", 1.0)


def drained(backlog):
    return list(iter(backlog.take, None))


def test_the_newest_notice_about_a_call_takes_the_place_of_the_older():
    backlog = Backlog()
    for notice in (moved("one", "b"), changed("a"), moved("two", "b"), stranded("one"), moved("one", "c")):
        backlog.put(notice)
    assert drained(backlog) == [changed("a"), moved("two", "b"), moved("one", "c")]


def test_a_call_and_a_server_of_one_name_are_two():
    backlog = Backlog()
    backlog.put(changed("x"))
    backlog.put(stranded("x"))
    assert len(drained(backlog)) == 2


def test_a_call_that_is_over_is_no_news():
    backlog = Backlog()
    backlog.put(moved("one", "b"))
    backlog.forget("one")
    backlog.forget("never heard of")
    assert drained(backlog) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3))))
def test_the_last_word_about_each_call_is_never_lost(story):
    backlog = Backlog()
    for call, server in story:
        backlog.put(moved(str(call), str(server)))
    assert {notice.call_id: notice.server for notice in drained(backlog)} == {str(c): str(s) for c, s in story}
