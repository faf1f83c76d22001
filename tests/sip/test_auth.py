"""Digest authentication between our own two sides, with published examples, and with people who mean no good."""

import contextlib
import hashlib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.auth import nonces as nonces_module
from mediaha.sip.auth.client import Account, Answerer
from mediaha.sip.auth.digest import (
    MD5,
    SHA256,
    Challenge,
    Credentials,
    HashedSecret,
    challenge_untrusted,
    credentials_untrusted,
)
from mediaha.sip.auth.nonces import Nonces, Use
from mediaha.sip.auth.server import Denied, Known, Realm, Unknown
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Headers, Request

REALM = "example.test"
SECRET = HashedSecret.of("bob", REALM, "zanzibar")


def test_the_example_of_rfc_7616_comes_out_with_both_algorithms():
    """Section 3.9.1."""
    secret = HashedSecret.of("Mufasa", "http-auth@example.org", "Circle of Life")
    for algorithm, response in (
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        shown = Credentials(
            "Mufasa", "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "/dir/index.html",
            response, algorithm, qop="auth", nc="00000001", cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )  # fmt: skip
        assert shown.proves(secret.hashed_with(algorithm), "GET", b"")
        assert not shown.proves(secret.hashed_with(algorithm), "PUT", b"")


def test_the_example_of_rfc_2069_comes_out_for_those_who_know_no_qop():
    """Section 2.4, with the response that its erratum gives."""
    secret = HashedSecret.of("Mufasa", "testrealm@host.com", "CircleOfLife")
    shown = Credentials(
        "Mufasa", "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "/dir/index.html",
        "1949323746fe6a43ef61f9606e7febea",
    )  # fmt: skip
    assert shown.proves(secret.md5, "GET", b"")


def test_a_session_variant_hashes_the_secret_once_more():
    """Section 3.4.2."""
    shown = Credentials("bob", REALM, "n", "sip:x", "", MD5, session=True, qop="auth", nc="00000001", cnonce="c")
    first = hashlib.md5(f"{SECRET.md5}:n:c".encode()).hexdigest()
    second = hashlib.md5(b"INVITE:sip:x").hexdigest()
    response = hashlib.md5(f"{first}:n:00000001:c:auth:{second}".encode()).hexdigest()
    assert shown.expected(SECRET.md5, "INVITE", b"") == response


def test_a_secret_is_not_printed():
    assert SECRET.md5 not in repr(SECRET)


# Both sides


class Registrar:
    """A realm with one user, on a clock that only the test moves."""

    def __init__(self, secret: HashedSecret | None = SECRET, **options) -> None:
        self.now = 1000.0
        self.nonces = Nonces(b"unguessable", life_s=60)
        self.realm = Realm(REALM, self.nonces, **options)
        self._secret = secret

    def judge(self, request: Request):
        return self.realm.judge(request, lambda name: self._secret if name == "bob" else None, self.now)


def register(number: int = 1, uri: str = "sip:example.test") -> Request:
    fields = [
        ("From", "<sip:bob@example.test>;tag=b"), ("To", "<sip:bob@example.test>"), ("Call-ID", "r"),
        ("CSeq", f"{number} REGISTER"),
    ]  # fmt: skip
    return Request("REGISTER", uri, Headers(fields))


def bob(secret: HashedSecret = SECRET) -> Answerer:
    return Answerer(Account("bob", REALM, secret))


def refused(request: Request, verdict: Unknown):
    return request.response(verdict.status, to_tag="r", headers=verdict.headers)


def log_in(registrar: Registrar, client: Answerer) -> Request:
    """The request that was taken."""
    asked = registrar.judge(register())
    again = client.answer(register(), refused(register(), asked), "cnonce")
    assert registrar.judge(again) == Known("bob")
    return again


def test_a_request_without_credentials_is_asked_for_them_and_one_with_them_is_known():
    again = log_in(Registrar(), bob())
    assert again.cseq.number == 2
    shown = credentials_untrusted(again.headers.get("Authorization"))
    assert (shown.algorithm, shown.qop, shown.nc) == (SHA256, "auth", "00000001")


@pytest.mark.parametrize("algorithm", [MD5, SHA256])
@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("qop", [("auth",), ("auth-int",), ("auth-int", "auth"), ()])
def test_whatever_a_server_asks_for_it_is_given(algorithm, session, qop):
    challenge = Challenge(REALM, 'non"ce', algorithm, session, "opaque", qop)
    request = register().with_body(b"body", "text/plain")
    answer = request.response(407, headers=[("Proxy-Authenticate", str(challenge))])
    again = bob().answer(request, answer, "c")
    shown = credentials_untrusted(again.headers.get("Proxy-Authorization"))
    assert shown.nonce == 'non"ce'
    assert shown.opaque == "opaque"
    assert shown.proves(SECRET.hashed_with(algorithm), "REGISTER", b"body")
    body_counts = qop == ("auth-int",)
    assert shown.proves(SECRET.hashed_with(algorithm), "REGISTER", b"other") is not body_counts


def test_the_next_requests_need_no_challenge_until_the_nonce_is_stale():
    registrar, client = Registrar(), bob()
    log_in(registrar, client)
    for number in range(5):
        assert registrar.judge(client.prove(register(3 + number), "c")) == Known("bob")
    registrar.now += 61
    request = client.prove(register(9), "c")
    verdict = registrar.judge(request)
    assert "stale=true" in verdict.headers[0][1]
    assert registrar.judge(client.answer(request, refused(request, verdict), "c")) == Known("bob")


def test_a_proxy_asks_with_407():
    registrar = Registrar(proxy=True)
    verdict = registrar.judge(register())
    assert verdict.status == 407
    again = bob().answer(register(), refused(register(), verdict), "c")
    assert again.headers.get("Authorization") is None
    assert registrar.judge(again) == Known("bob")


def test_one_who_knows_only_md5_is_asked_by_md5_alone():
    """baresip 1.0 gives up when it is merely offered SHA-256."""
    registrar = Registrar(HashedSecret(md5=SECRET.md5))
    verdict = registrar.judge(register())
    assert [challenge_untrusted(value).algorithm for _, value in verdict.headers] == [MD5]
    again = bob().answer(register(), refused(register(), verdict), "c")
    assert registrar.judge(again) == Known("bob")


def test_one_who_takes_the_wrong_algorithm_is_shown_the_right_one():
    registrar = Registrar(HashedSecret(md5=SECRET.md5))
    eager = Challenge(REALM, registrar.nonces.issue(registrar.now), SHA256, qop=("auth",))
    request = bob().answer(register(), register().response(401, headers=[("WWW-Authenticate", str(eager))]), "c")
    verdict = registrar.judge(request)
    assert [challenge_untrusted(value).algorithm for _, value in verdict.headers] == [MD5]


def test_an_account_answers_only_its_own_realm_and_leaves_other_credentials_alone():
    challenge = Challenge("elsewhere.test", "n", qop=("auth",))
    answer = register().response(401, headers=[("WWW-Authenticate", str(challenge))])
    assert bob().answer(register(), answer, "c") is None
    other = ("Authorization", str(Credentials("x", "elsewhere.test", "n", "sip:y", "0" * 32)))
    request = register().with_headers(register().headers.with_added([other]))
    again = bob().answer(request, refused(request, Registrar().judge(request)), "c")
    assert len(again.headers.all("Authorization")) == 2


def test_a_wrong_secret_is_denied_and_not_tried_again():
    registrar, client = Registrar(), bob(HashedSecret.of("bob", REALM, "wrong"))
    again = client.answer(register(), refused(register(), registrar.judge(register())), "c")
    assert registrar.judge(again) == Denied("bob")
    # Other servers ask again instead.
    fresh = Unknown(401, (("WWW-Authenticate", str(Challenge(REALM, "another", SHA256, qop=("auth",)))),))
    assert client.answer(again, refused(again, fresh), "c") is None


def test_a_server_that_finds_every_nonce_stale_is_left_alone():
    client, request, numbers = bob(), register(), count()
    for _ in range(10):
        challenge = Challenge(REALM, f"n{next(numbers)}", qop=("auth",), stale=True)
        again = client.answer(request, request.response(401, headers=[("WWW-Authenticate", str(challenge))]), "c")
        if again is None:
            break
        request = again
    assert next(numbers) <= 4


def test_a_server_that_has_restarted_is_answered_although_it_does_not_say_stale():
    client = bob()
    log_in(Registrar(), client)
    request = client.prove(register(3), "c")  # in advance, with a nonce that nobody knows any more
    challenge = Challenge(REALM, "another", qop=("auth",))
    assert client.answer(request, request.response(401, headers=[("WWW-Authenticate", str(challenge))]), "c")


# People who mean no good


def test_a_request_that_was_overheard_cannot_be_sent_again():
    registrar = Registrar()
    taken = log_in(registrar, bob())
    assert isinstance(registrar.judge(taken), Unknown)
    assert isinstance(registrar.judge(taken), Unknown)


def test_an_overheard_response_is_of_no_use_with_another_count_method_or_uri():
    registrar = Registrar()
    taken = log_in(registrar, bob())
    value = taken.headers.get("Authorization")
    counted = taken.with_headers(
        taken.headers.with_replaced("Authorization", value.replace("nc=00000001", "nc=00000002"))
    )
    assert registrar.judge(counted) == Denied("bob")
    invite = Request("INVITE", taken.uri, taken.headers)
    assert registrar.judge(invite) == Denied("bob")
    registrar, client = Registrar(), bob()
    log_in(registrar, client)
    proved = client.prove(register(3), "c")
    assert registrar.judge(Request("REGISTER", "sip:other.test", proved.headers)) == Denied("bob")


def test_one_who_sends_no_count_gets_one_request_for_each_nonce():
    registrar = Registrar()
    nonce = registrar.nonces.issue(registrar.now)
    shown = Credentials("bob", REALM, nonce, "sip:example.test", "")
    shown = Credentials("bob", REALM, nonce, shown.uri, shown.expected(SECRET.md5, "REGISTER", b""))
    request = register().with_headers(register().headers.with_added([("Authorization", str(shown))]))
    assert registrar.judge(request) == Known("bob")
    assert isinstance(registrar.judge(request), Unknown)


def test_whether_a_name_exists_is_not_to_be_found_out():
    registrar = Registrar()
    for name in ("bob", "nobody"):
        client = Answerer(Account(name, REALM, HashedSecret.of(name, REALM, "guess")))
        again = client.answer(register(), refused(register(), registrar.judge(register())), "c")
        assert registrar.judge(again) == Denied(name)
    blank = Answerer(Account("nobody", REALM, HashedSecret.of("", "", "")))
    again = blank.answer(register(), refused(register(), registrar.judge(register())), "c")
    assert registrar.judge(again) == Denied("nobody")


def test_a_nonce_of_the_clients_own_making_does_not_tell_whether_the_secret_is_right():
    verdicts = []
    for secret in (SECRET, HashedSecret.of("bob", REALM, "guess")):
        client = bob(secret)
        own = Challenge(REALM, "0" * 52, SHA256, qop=("auth",))
        request = client.answer(register(), register().response(401, headers=[("WWW-Authenticate", str(own))]), "c")
        verdicts.append(Registrar().judge(request))
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        "Basic Ym9iOnphbnppYmFy",
        "Digest username=bob",
        'Digest username="bob, realm="x"',
        'Digest username="bob", username="eve", realm="x", nonce="n", uri="u", response="r"',
        f'Digest username="bob", realm="{REALM}", nonce="n", uri="u", response="r", qop=auth',
        f'Digest username="bob", realm="{REALM}", nonce="n", uri="u", response="r", qop=auth, nc=-0000001, cnonce="c"',
        f'Digest username="bob", realm="{REALM}", nonce="n", uri="u", response="r", algorithm=CRC-32',
        f'Digest username="bob", realm="{REALM}", nonce="ä", uri="sip:x", response="ü"',
        "Digest " + ",".join(f"a{n}=b" for n in range(100)),
    ],
)
def test_credentials_that_are_none_are_asked_for(value):
    request = register().with_headers(register().headers.with_added([("Authorization", value)]))
    assert isinstance(Registrar().judge(request), Unknown)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading(text):
    for read in (challenge_untrusted, credentials_untrusted):
        for value in (text, f"Digest {text}", f'Digest realm="x", nonce="n", {text}'):
            with contextlib.suppress(Malformed):
                read(value)


words = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)


@given(words, words, words, words, words)
def test_what_is_written_is_read_back(username, realm, nonce, uri, cnonce):
    shown = Credentials(username, realm, nonce, uri, "0" * 32, SHA256, True, "o", "auth", "0000000a", cnonce or "c")
    assert credentials_untrusted(str(shown)) == shown
    challenge = Challenge(realm, nonce, MD5, True, uri, ("auth", "auth-int"), True)
    assert challenge_untrusted(str(challenge)) == challenge


# Nonces


def test_a_nonce_is_ours_for_its_time_and_each_use_counts_once():
    nonces = Nonces(b"secret", life_s=60)
    nonce = nonces.issue(0.0)
    assert [nonces.use(nonce, count, 1.0) for count in (1, 3, 2, 2, 1)] == [
        Use.NEW, Use.NEW, Use.NEW, Use.OLD, Use.OLD,
    ]  # fmt: skip
    assert nonces.use(nonce, 200, 2.0) is Use.NEW
    assert nonces.use(nonce, 130, 2.0) is Use.OLD  # too far behind to be known
    assert nonces.use(nonce, 0, 2.0) is Use.OLD
    assert nonces.use(nonce, 201, 61.0) is Use.OLD
    assert nonces.use(nonce[:-1] + ("0" if nonce[-1] != "0" else "1"), 1, 1.0) is Use.FOREIGN
    assert Nonces(b"other").use(nonce, 1, 1.0) is Use.FOREIGN


def test_a_million_challenges_cost_no_memory():
    nonces = Nonces(b"secret")
    assert len({nonces.issue(1.0) for _ in range(1000)}) == 1000
    assert len(nonces) == 0


def test_when_the_table_is_full_the_oldest_nonces_end_and_cannot_be_replayed(monkeypatch):
    monkeypatch.setattr(nonces_module, "ENTRIES_MAX", 10)
    nonces = Nonces(b"secret", life_s=1000)
    issued = [nonces.issue(float(second)) for second in range(20)]
    for nonce in issued:
        assert nonces.use(nonce, 1, 30.0) is Use.NEW
    assert len(nonces) == 10
    assert [nonces.use(nonce, 1, 30.0) for nonce in issued] == [Use.OLD] * 20
    assert nonces.use(issued[15], 2, 30.0) is Use.NEW


def test_expired_entries_go():
    nonces = Nonces(b"secret", life_s=10)
    for second in range(1000):
        nonces.use(nonces.issue(float(second)), 1, float(second))
    assert len(nonces) <= 12


@given(st.lists(st.integers(1, 150), max_size=80))
def test_no_use_ever_counts_twice(uses):
    nonces = Nonces(b"secret")
    nonce = nonces.issue(0.0)
    taken = [use for use in uses if nonces.use(nonce, use, 1.0) is Use.NEW]
    assert len(taken) == len(set(taken))
