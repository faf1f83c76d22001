"""What a new site file changes under running calls, and what has to wait."""

from dataclasses import replace

from mediaha.model.address import Address
from mediaha.model.site import Domain
from mediaha.ops.change import change
from mediaha.tca import standalone_site

OLD = standalone_site()
RUNNING = {spec.name: spec for spec in OLD.media}
FIRST, SECOND = OLD.media


def step(new, leaving=None):
    return change(OLD, new, "here", RUNNING, leaving or {})


def test_nothing_new_changes_nothing():
    same = step(OLD)
    assert (same.site, same.start, same.leave, same.stay, same.next_start) == (OLD, (), (), (), ())


def test_domains_are_used_at_once():
    domain = Domain("new.test", ("media-2",), (Address("127.0.0.1", 5090),))
    assert step(replace(OLD, domains=(domain,))).site.domains == (domain,)


def test_a_media_server_is_added_here_and_another_elsewhere():
    here = replace(FIRST, name="media-3", ng=Address("127.0.0.1", 2225))
    elsewhere = replace(here, name="media-4", host="there")
    foreign = replace(here, name="media-5", managed=False)
    found = step(replace(OLD, media=(*OLD.media, here, elsewhere, foreign)))
    assert found.start == (here,)
    assert len(found.site.media) == 5


def test_one_that_is_no_longer_listed_leaves_and_may_come_back():
    found = step(replace(OLD, media=(SECOND,)))
    assert found.leave == (FIRST,)
    back = change(found.site, OLD, "here", RUNNING, {"media-1": FIRST})
    assert back.stay == ("media-1",)
    assert back.start == ()


def test_ports_of_a_running_server_wait_for_the_next_start():
    moved = replace(FIRST, ports=(50000, 50999), ng=Address("127.0.0.1", 9999))
    found = step(replace(OLD, media=(moved, SECOND), nets=()))
    assert found.site.media == OLD.media
    assert found.site.nets == OLD.nets
    assert found.next_start == ("media-1", "nets")
