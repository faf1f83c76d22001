"""How many connections there may be, and which one goes when there are too many."""

from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.transport.doors import Admitted, Doors, TurnedAway
from mediaha.sip.transport.patience import StreamLimits


def doors(**limits) -> Doors:
    return Doors(StreamLimits(**{"connections_max": 3, "source_max": 3, "source_unproven_max": 2} | limits))


def test_one_source_cannot_hold_more_than_a_few_connections_without_a_message():
    some = doors()
    assert some.arrive(1, "a", 0.0) == Admitted()
    assert some.arrive(2, "a", 0.0) == Admitted()
    assert isinstance(some.arrive(3, "a", 0.0), TurnedAway)
    assert some.arrive(4, "b", 0.0) == Admitted()
    some.heard(1, 1.0, messages=True)  # one of them has proved to be worth it
    some.leave(4)
    assert some.arrive(5, "a", 1.0) == Admitted()


def test_when_it_is_full_the_one_that_said_nothing_for_longest_goes_first():
    some = doors()
    some.arrive(1, "a", 0.0)
    some.arrive(2, "b", 0.0)
    some.arrive(3, "c", 0.0)
    some.heard(1, 0.5, messages=True)
    assert some.arrive(4, "d", 1.0) == Admitted(instead=2)
    assert some.arrive(5, "e", 1.0) == Admitted(instead=3)


def test_the_silent_go_before_the_busy_and_the_busy_stay():
    some = doors()
    for number, host in ((1, "a"), (2, "b"), (3, "c")):
        some.arrive(number, host, 0.0)
        some.heard(number, 0.0, messages=True)
    some.heard(1, 100.0, messages=False)
    assert some.arrive(4, "d", 119.0) == TurnedAway("too many connections")
    assert some.arrive(5, "d", 120.0) == Admitted(instead=2)


def test_what_we_open_ourselves_is_no_ones_guest():
    some = doors()
    for number in range(3):
        assert some.arrive(number, "trunk", 0.0, ours=True) == Admitted()
    assert isinstance(some.arrive(9, "trunk", 0.0, ours=True), TurnedAway)


@given(st.lists(st.tuples(st.sampled_from(["arrive", "ours", "hear", "leave"]), st.integers(0, 8), st.booleans())))
def test_nothing_is_left_of_those_who_have_left(steps):
    some = doors()
    inside: set[int] = set()
    for at, (what, number, flag) in enumerate(steps):
        if what in {"arrive", "ours"} and number not in inside:
            verdict = some.arrive(number, f"host{number % 3}", float(at * 50), ours=what == "ours")
            if isinstance(verdict, Admitted):
                inside.add(number)
                inside.discard(verdict.instead)
        elif what == "hear":
            some.heard(number, float(at * 50), messages=flag)
        elif what == "leave":
            some.leave(number)
            inside.discard(number)
        assert len(some) == len(inside) <= 3
    for number in list(inside):
        some.leave(number)
    assert len(some) == 0
    assert some._sources == {}
