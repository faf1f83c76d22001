"""What a REGISTER makes of a user's contacts (RFC 3261 section 10.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.model.address import Address
from mediaha.registrar.registering import Limits, current, register
from mediaha.sip.target import TCP, Target
from tests.registrar import messages
from tests.registrar.messages import HOME, listed

DESK, SOFT = "<sip:anna@192.0.2.7:5060>", "<sip:anna@192.0.2.8:5070;transport=tcp>"


class Line:
    """The contacts of one user, and a clock."""

    def __init__(self, **limits):
        self.limits = Limits(**limits)
        self.bindings = ()
        self.now = 1000.0

    def send(self, *contacts, flow=HOME, **request):
        message = messages.register(*contacts, **request)
        self.bindings, answer = register(self.bindings, message, flow, self.now, self.limits)
        return answer

    @property
    def uris(self):
        return [binding.uri for binding in current(self.bindings, self.now)]


def expires(seconds):
    return [("Expires", str(seconds))]


def test_several_phones_of_a_user_are_all_known_and_listed():
    line = Line()
    line.send(DESK, call_id="desk", more=expires(600))
    answer = line.send(f"{SOFT};q=0.5;expires=300", call_id="soft")
    assert listed(answer) == {DESK[1:-1]: 600, SOFT[1:-1]: 300}
    assert [(binding.q, binding.flow) for binding in line.bindings] == [(1.0, HOME), (0.5, HOME)]
    assert listed(line.send(call_id="who")) == listed(answer), "without a Contact it only asks"


def test_a_contact_that_comes_again_is_renewed_and_not_doubled():
    line = Line()
    line.send(DESK, cseq=1)
    line.now += 3000
    line.send("<SIP:anna@192.0.2.7:5060;ob>", cseq=2)
    assert line.uris == ["sip:anna@192.0.2.7:5060;ob"], "the same by section 19.1.4"
    line.now += 3000
    assert len(line.uris) == 1


def test_a_contact_that_is_not_renewed_expires():
    line = Line()
    line.send(DESK, more=expires(60))
    line.now += 60
    assert line.uris == []
    assert listed(line.send(call_id="who")) == {}


def test_zero_takes_one_contact_away_and_star_takes_all():
    line = Line()
    line.send(DESK, SOFT)
    line.send(f"{SOFT};expires=0", cseq=2)
    assert line.uris == [DESK[1:-1]]
    line.send(SOFT, cseq=3)
    answer = line.send("*", cseq=4, more=expires(0))
    assert (answer.status, line.uris) == (200, [])


@pytest.mark.parametrize(("contacts", "seconds"), [(["*"], 60), (["*", DESK], 0), (["*"], "x")])
def test_a_star_that_does_not_stand_alone_with_zero_takes_nothing_away(contacts, seconds):
    line = Line()
    line.send(SOFT)
    assert line.send(*contacts, cseq=2, more=expires(seconds)).status == 400
    assert line.uris == [SOFT[1:-1]]


def test_a_request_that_was_overtaken_changes_nothing_at_all():
    line = Line()
    line.send(DESK, cseq=5)
    assert line.send(SOFT, f"{DESK};expires=0", cseq=4).status == 500
    assert line.send("*", cseq=5, more=expires(0)).status == 500
    assert line.uris == [DESK[1:-1]], "neither taken away nor joined by the other"
    assert line.send(f"{DESK};expires=0", cseq=1, call_id="rebooted").status == 200
    assert line.uris == []


def test_too_short_is_refused_and_too_long_is_cut():
    line = Line(expires_s_min=60, expires_s_max=3600)
    answer = line.send(DESK, f"{SOFT};expires=59")
    assert (answer.status, dict(answer.headers)["Min-Expires"], line.uris) == (423, "60", [])
    assert listed(line.send(f"{DESK};expires=4294967295")) == {DESK[1:-1]: 3600}
    assert listed(line.send(f"{SOFT};expires=soon", cseq=2))[SOFT[1:-1]] == 3600


def test_the_number_of_contacts_is_bounded_and_the_one_that_expires_first_goes():
    line = Line(contacts_max=3)
    for number in range(5):
        line.send(f"<sip:anna@192.0.2.7:{6000 + number}>", call_id=f"boot {number}")
        line.now += 1
    assert [uri[-1] for uri in line.uris] == ["2", "3", "4"]
    assert line.send(*[f"<sip:a@192.0.2.7:{port}>" for port in range(4000, 4004)], call_id="many").status == 400


def test_a_phone_that_names_itself_is_found_again_at_another_place():
    line = Line()
    myself = ';+sip.instance="<urn:uuid:1>";reg-id=1'
    line.send(f"{DESK}{myself}", call_id="before")
    line.send(f"{SOFT}{myself}", call_id="after its restart")
    line.send(f"<sip:anna@192.0.2.9>{myself.replace('=1', '=2')}", call_id="its other way")
    assert line.uris == [SOFT[1:-1], "sip:anna@192.0.2.9"]


def test_the_proxies_on_the_way_are_kept_and_said_back():
    line = Line()
    answer = line.send(DESK, more=[("Path", "<sip:edge.example.test;lr>, <sip:192.0.2.1;lr>")])
    assert ("Path", "<sip:edge.example.test;lr>, <sip:192.0.2.1;lr>") in answer.headers
    assert line.bindings[0].path == ("<sip:edge.example.test;lr>", "<sip:192.0.2.1;lr>")


def test_a_phone_is_called_where_it_came_from_and_else_only_where_it_listens_itself():
    line = Line()
    came = Target(TCP, Address("192.0.2.7", 51234), "", "tcp", 7)
    line.send("<sip:anna@192.0.2.7:5070;transport=tcp>", "<sip:anna@198.51.100.1:22;transport=tcp>", flow=came)
    own, foreign = (binding.contact() for binding in line.bindings)
    assert own.flow == foreign.flow == came
    assert own.otherwise == Target(TCP, Address("192.0.2.7", 5070), "", "tcp")
    assert foreign.otherwise is None, "or we could be made to connect to anybody"


PARTS = st.sampled_from(
    ["*", "<sip:a@h>", "sip:a@h", ";expires=", "0", "61", ";q=", "0.5", ",", "<", ">", '"', " ", "é"]
)


@given(st.lists(st.lists(PARTS, max_size=6).map("".join), max_size=3), st.sampled_from(["0", "60", "-1", "9" * 30]))
def test_whatever_it_says_it_is_answered_and_the_contacts_stay_bounded(contacts, seconds):
    line = Line(contacts_max=2)
    line.send(SOFT)
    answer = line.send(*contacts, cseq=2, more=expires(seconds))
    assert answer.status in {200, 400, 423, 500}
    assert len(line.bindings) <= 2
    assert answer.status == 200 or line.uris == [SOFT[1:-1]]
