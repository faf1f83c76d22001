"""Stories are kept for a while, within bounds, and say how a call began and ended."""

from __future__ import annotations

from mediaha.model.media import Attempt
from mediaha.nets.events import Note
from mediaha.nets.story import Stories, Story
from tests.nets.story import Party, talking
from tests.nets.story import Story as Told


def test_a_long_story_keeps_its_beginning_and_its_end():
    story = Story(Told().call, 100.0, 10)
    for number in range(50):
        story.add(100.0 + number, Note(f"n{number}", {}))
    explained = story.explained()
    assert [event["what"] for event in explained["events"]] == [f"n{number}" for number in [*range(5), *range(45, 50)]]
    assert explained["entries_dropped"] == 40


def test_attempts_are_told_in_milliseconds_since_the_invite():
    story = Story(Told().call, 100.0, 10)
    story.add(100.02, Note("anchored", {"server": "b"}, (
        Attempt("a", "offer", 100.001, None, "no answer"), Attempt("b", "offer", 100.011, 100.0125, "answered"),
    )))  # fmt: skip
    (event,) = story.explained()["events"]
    assert event["ms"] == 20.0
    assert event["attempts"] == [
        {"server": "a", "request": "offer", "ms": 1.0, "took_ms": None, "outcome": "no answer"},
        {"server": "b", "request": "offer", "ms": 11.0, "took_ms": 1.5, "outcome": "answered"},
    ]


def test_the_oldest_ended_story_goes_first():
    stories = Stories(2)
    for number in range(4):
        story = Story(Told().call, 100.0, 10)
        stories.begin(f"call-{number}", story)
        stories.also(story, f"sip-{number}")
        stories.end(f"call-{number}")
    assert stories.explain("call-1") is None
    assert stories.explain("sip-1") is None
    assert stories.explain("sip-2") is not None
    assert stories.explain("call-3") is not None


def test_a_call_id_that_is_used_again_means_the_later_call():
    stories = Stories(1)
    for number in range(2):
        story = Story(Told().call, 100.0, 10)
        stories.begin(f"call-{number}", story)
        stories.also(story, "the-same")
        stories.end(f"call-{number}")
    assert stories.explain("the-same") is not None
    assert stories.explain("call-0") is None


def test_a_usual_hang_up_has_no_status_that_looks_like_a_failure():
    story = talking()
    story.asks(Party.CALLER, "BYE")
    assert story.notes[-1] == Note("ended", {"why": "the caller hung up"})


def test_a_call_that_nobody_answered_says_what_the_caller_was_told():
    story = Told()
    story.anchored()
    story.cancels()
    assert story.notes[-1] == Note("ended", {"why": "the caller cancelled", "status": 487})
