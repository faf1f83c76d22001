"""The registrar as a whole: who may register and call, what is remembered, and what strangers can find out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.model.address import Address
from mediaha.model.user import User
from mediaha.registrar import Phones
from mediaha.registrar.people import People
from mediaha.sip.auth.digest import challenge_untrusted
from mediaha.sip.message import Request
from mediaha.sip.target import TLS, Target
from tests.registrar.messages import HOME, Prover, listed, register, user

DESK = "<sip:anna@192.0.2.7:5060>"


def always(flow):
    return True


class Pages(dict):
    """A notebook in memory."""

    def write(self, key, text, until):
        self[key] = text

    def forget(self, key):
        self.pop(key, None)


def registered(phones, prover, request, flow=HOME):
    """The answer after the challenge has been answered."""
    asked = phones.register(request, flow)
    assert asked.status == 401
    return phones.register(prover.answer(request, asked), flow)


def test_a_phone_is_asked_and_then_known_and_can_be_called():
    phones = Phones([user()])
    answer = registered(phones, Prover(), register(DESK))
    assert (answer.status, listed(answer)) == (200, {DESK[1:-1]: 3600})
    (contact,) = phones.contacts(phones.find("anna", "EXAMPLE.test"))
    assert (contact.uri, contact.flow) == (DESK[1:-1], HOME)
    assert phones.are_at(HOME)
    assert phones.find("bo", "example.test") is None, "no such user"
    (view,) = phones.views(always)
    assert (view.user, view.source) == ("anna@example.test", "192.0.2.7:5060/udp")


def test_a_user_without_a_phone_is_known_to_be_one():
    phones = Phones([user()])
    assert phones.contacts(phones.find("anna", "example.test")) == ()


def test_the_strongest_algorithm_is_offered_first_and_either_is_taken():
    asked = Phones([user()]).register(register(DESK), HOME)
    offered = [challenge_untrusted(value).algorithm for _, value in asked.headers]
    assert offered == ["SHA-256", "MD5"]
    for hashes in (("md5",), ("sha256",)):
        assert registered(Phones([user(hashes=hashes)]), Prover(), register(DESK)).status == 200


def test_a_wrong_secret_and_a_name_that_nobody_has_look_alike():
    phones = Phones([user()])
    answers = []
    for name, secret in (("anna", "wrong"), ("nobody", "sesame")):
        request = register(DESK, name=name)
        asked = phones.register(request, HOME)
        offered = [challenge_untrusted(value) for _, value in asked.headers]
        refused = phones.register(Prover(name, secret).answer(request, asked), HOME)
        answers.append((asked.status, [(one.realm, one.algorithm, one.stale) for one in offered], refused))
    assert answers[0] == answers[1]
    assert answers[0][2].status == 403
    assert not phones.views(always)


def test_a_name_that_nobody_has_is_offered_what_some_user_is_and_always_the_same():
    """Where some phones get MD5 alone, a stranger must not learn who exists from what is offered."""
    users = [user(f"old{number}", hashes=("md5",)) for number in range(5)]
    people = People([*users, *(user(f"new{number}") for number in range(5))], b"seed")

    def offered(name):
        headers = people.registrant(register(DESK, name=name), 0.0).headers
        return tuple(challenge_untrusted(value).algorithm for _, value in headers)

    seen = {name: offered(name) for name in map("ghost{}".format, range(50))}
    assert set(seen.values()) == {("MD5",), ("SHA-256", "MD5")}
    assert seen == {name: offered(name) for name in seen}


def test_credentials_are_good_for_one_use_and_a_counted_nonce_for_the_next():
    phones, prover = Phones([user()]), Prover()
    request = register(DESK)
    proved = prover.answer(request, phones.register(request, HOME))
    assert phones.register(proved, HOME).status == 200
    replayed = phones.register(proved, HOME)
    assert replayed.status == 401
    assert all(challenge_untrusted(value).stale for _, value in replayed.headers)
    again = prover.again(register(DESK, cseq=3))
    assert phones.register(again, HOME).status == 200


def test_a_nonce_of_the_process_before_is_stale_and_offers_no_more_than_the_user_can():
    prover, request = Prover(), register(DESK)
    proved = prover.answer(request, Phones([user(hashes=("md5",))]).register(request, HOME))
    (_, value), *more = Phones([user(hashes=("md5",))]).register(proved, HOME).headers
    assert not more
    assert challenge_untrusted(value).stale
    assert challenge_untrusted(value).algorithm == "MD5"


def test_nobody_registers_or_calls_in_the_name_of_another():
    phones = Phones([user(), user("bo", "other secret")])
    request = register(DESK, name="bo")
    assert registered(phones, Prover(), request).status == 403
    invite = Request("INVITE", "sip:example.test", register(DESK).headers)
    asked = phones.caller(invite, HOME)
    assert phones.caller(Prover("bo", "other secret").answer(invite, asked), HOME).status == 403
    asked = phones.caller(invite, HOME)
    caller = phones.caller(Prover().answer(invite, asked), HOME)
    assert isinstance(caller, User)
    assert caller.address == "anna@example.test"


@pytest.mark.parametrize("domain", ["elsewhere.test", "192.0.2.1"])
def test_a_domain_without_users_is_refused_as_a_wrong_secret_is(domain):
    answer = Phones([user()]).register(register(DESK, domain=domain), HOME)
    assert (answer.status, answer.headers) == (403, ())


def test_an_extension_that_is_not_known_is_refused_to_those_who_may_know():
    answer = registered(Phones([user()]), Prover(), register(DESK, more=[("Require", "path, gruu")]))
    assert (answer.status, answer.headers) == (420, (("Unsupported", "gruu"),))


def test_contacts_are_remembered_by_the_next_process_but_not_its_connections():
    pages = Pages()
    came = Target(TLS, Address("192.0.2.7", 51234), "", "tls", 7)
    registered(Phones([user()], pages), Prover(), register("<sip:anna@192.0.2.7:5061;transport=tls>"), came)
    phones = Phones([user()])
    phones.remember(pages)
    (contact,) = phones.contacts(phones.find("anna", "example.test"))
    assert contact.flow.connection < 0, "a number of the old process may be anybody's in the new one"
    assert contact.otherwise.address == Address("192.0.2.7", 5061)
    assert 3590 < phones.views(always)[0].expires_s <= 3600


def test_what_cannot_be_read_or_is_not_wanted_any_more_is_not_remembered():
    pages = Pages()
    registered(Phones([user()], pages), Prover(), register(DESK))
    phones = Phones([user("bo")])
    phones.remember({**pages, "bo@example.test": b'[{"uri": 1}]'})
    assert not phones.views(always)


def test_a_user_who_is_taken_out_of_the_site_loses_the_contacts_and_the_page():
    pages = Pages()
    phones = Phones([user(), user("bo")], pages)
    registered(phones, Prover(), register(DESK))
    phones.configure([user("bo")])
    assert phones.find("anna", "example.test") is None
    assert not phones.views(always)
    assert not pages


def test_unregistering_strikes_the_page_out():
    pages = Pages()
    phones, prover = Phones([user()], pages), Prover()
    registered(phones, prover, register(DESK))
    assert "anna@example.test" in pages
    phones.register(prover.again(register("*", cseq=9, more=[("Expires", "0")])), HOME)
    assert not pages
    assert not phones.are_at(HOME)


PIECES = st.sampled_from(
    ['Digest username="anna", realm="example.test"', 'nonce="0"', 'uri="sip:example.test"', "qop=auth", "nc=0000000g",
     "nc=00000001", 'cnonce="c"', 'response="0"', "algorithm=SHA-256-sess", "algorithm=AKA", "\"", ",", "=", "é"]
)  # fmt: skip
ADDRESSES = st.sampled_from(["<sip:anna@example.test>", "<sip:%61nna:x@EXAMPLE.test>", "<tel:1>", "sip:@", "<sips:x>"])


@given(st.lists(PIECES, max_size=8), ADDRESSES, ADDRESSES)
def test_whatever_a_stranger_writes_it_is_asked_again_or_refused(pieces, from_, to):
    phones = Phones([user()])
    headers = register(DESK).headers.with_replaced("From", f"{from_};tag=x").with_replaced("To", to)
    request = Request("REGISTER", "sip:example.test", headers.with_added([("Authorization", ", ".join(pieces))]))
    assert phones.register(request, HOME).status in {401, 403}
    assert phones.caller(request, HOME).status in {401, 403}
    assert not phones.views(always)
