"""From URIs to targets (RFC 3263), with the DNS as a table; priorities, weights, and what is still believed."""

from collections import Counter
from itertools import cycle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.sip.resolve.cache import ENTRIES_MAX, RETRY_S, SILENCE_S, STALE_S_MAX, Believed, Cache, Doubtful
from mediaha.sip.resolve.locate import TARGETS_MAX, NotLocated, literal_target, locate
from mediaha.sip.resolve.order import in_order
from mediaha.sip.resolve.records import AAAA, NAPTR, SRV, A, Naptr, Question, Srv
from mediaha.sip.uri import uri_untrusted

ALL = ("UDP", "TCP", "TLS")


def found(text, dns=None, *, transports=ALL, kinds=(A, AAAA), asked=None, chance=lambda: 0.0):
    """The targets of a URI, each as text with the certificate's name; ``dns`` maps (name, kind) to records."""
    locating = locate(uri_untrusted(text), transports=transports, kinds=kinds, chance=chance)
    try:
        questions = next(locating)
        while True:
            if asked is not None:
                asked += [tuple(question) for question in questions]
            questions = locating.send({question: (dns or {}).get(tuple(question), ()) for question in questions})
    except StopIteration as end:
        return [f"{target} {target.server_name}".strip() for target in end.value]


def failure(text, dns=None, **options) -> NotLocated:
    with pytest.raises(NotLocated) as caught:
        found(text, dns, **options)
    return caught.value


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:192.0.2.1", "192.0.2.1:5060/udp"),
        ("sip:bob@192.0.2.1:5070;transport=tcp", "192.0.2.1:5070/tcp"),
        ("sip:192.0.2.1;transport=tls", "192.0.2.1:5061/tls 192.0.2.1"),
        ("sips:192.0.2.1", "192.0.2.1:5061/tls 192.0.2.1"),
        ("sips:192.0.2.1;transport=tcp", "192.0.2.1:5061/tls 192.0.2.1"),
        ("sip:[2001:db8::1]:5062", "[2001:db8::1]:5062/udp"),
        ("sip:bob@example.test;maddr=192.0.2.7", "192.0.2.7:5060/udp"),
    ],
)
def test_an_address_needs_no_dns(uri, target):
    asked: list = []
    assert found(uri, asked=asked) == [target]
    assert asked == []


HOST = {("example.test", A): ("192.0.2.1", "192.0.2.2"), ("example.test", AAAA): ("2001:db8::1",)}


def test_a_port_means_a_host_and_no_services():
    asked: list = []
    assert found("sip:example.test:5070", HOST, asked=asked) == [
        "192.0.2.1:5070/udp", "192.0.2.2:5070/udp", "[2001:db8::1]:5070/udp",
    ]  # fmt: skip
    assert asked == [("example.test", A), ("example.test", AAAA)]
    assert found("sips:example.test:5071", HOST, kinds=(AAAA,)) == ["[2001:db8::1]:5071/tls example.test"]


SERVERS = {
    ("one.example.test", A): ("192.0.2.11",),
    ("two.example.test", A): ("192.0.2.12",),
    ("three.example.test", A): ("192.0.2.13",),
}
SERVICES = SERVERS | {
    ("_sip._udp.example.test", SRV): (Srv(10, 0, 5080, "two.example.test"), Srv(1, 0, 5060, "one.example.test")),
    ("_sip._tcp.example.test", SRV): (Srv(1, 0, 5060, "one.example.test"),),
    ("_sips._tcp.example.test", SRV): (Srv(1, 0, 5061, "three.example.test"),),
}


def test_a_transport_means_its_own_service():
    asked: list = []
    assert found("sip:example.test;transport=tcp", SERVICES, asked=asked) == ["192.0.2.11:5060/tcp"]
    assert ("example.test", NAPTR) not in asked
    assert found("sip:example.test;transport=tls", SERVICES) == ["192.0.2.13:5061/tls example.test"]


def test_without_naptr_every_service_that_we_speak_is_in_the_list_in_our_order():
    assert found("sip:example.test", SERVICES) == [
        "192.0.2.11:5060/udp", "192.0.2.12:5080/udp", "192.0.2.11:5060/tcp", "192.0.2.13:5061/tls example.test",
    ]  # fmt: skip
    assert found("sip:example.test", SERVICES, transports=("TCP", "UDP"))[0] == "192.0.2.11:5060/tcp"
    assert found("sips:example.test", SERVICES) == ["192.0.2.13:5061/tls example.test"]


def test_naptr_decides_on_transports_and_their_order():
    """The example of section 4.1: TLS is wanted most, UDP least."""
    offers = SERVICES | {
        ("example.test", NAPTR): (
            Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.test"),
            Naptr(100, 50, "S", "SIP+D2U", "_sip._udp.example.test"),
            Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.test"),
            Naptr(10, 10, "s", "SIP+D2S", "_sip._sctp.example.test"),
            Naptr(10, 10, "u", "E2U+sip", ""),
        )
    }
    assert found("sip:example.test", offers) == [
        "192.0.2.13:5061/tls example.test", "192.0.2.11:5060/tcp", "192.0.2.11:5060/udp", "192.0.2.12:5080/udp",
    ]  # fmt: skip
    assert found("sip:example.test", offers, transports=("UDP",))[0] == "192.0.2.11:5060/udp"
    assert found("sips:example.test", offers) == ["192.0.2.13:5061/tls example.test"]


def test_a_domain_without_services_is_a_host():
    assert found("sip:example.test", HOST)[0] == "192.0.2.1:5060/udp"
    assert found("sips:example.test", HOST)[0] == "192.0.2.1:5061/tls example.test"
    assert found("sip:example.test", HOST, transports=("TLS", "TCP"))[0] == "192.0.2.1:5061/tls example.test"


def test_nothing_at_all_is_said_as_such():
    assert not failure("sip:example.test").temporary
    assert "192.0.2.1" in str(failure("sip:192.0.2.1", kinds=(AAAA,)))
    assert "SCTP" in str(failure("sip:example.test;transport=sctp"))
    assert not failure("tel:+4930123456").temporary


def test_a_service_that_is_declared_absent_is_not_looked_for_elsewhere():
    """RFC 2782: a target of a single dot."""
    absent = HOST | {("_sip._udp.example.test", SRV): (Srv(0, 0, 0, ""),)}
    assert "no such service" in str(failure("sip:example.test", absent, transports=("UDP",)))


def test_while_the_dns_is_down_no_other_place_is_taken_for_the_service():
    """The bare domain's address is a web server's, mostly."""
    down = HOST | {("_sip._udp.example.test", SRV): None}
    assert failure("sip:example.test", down, transports=("UDP",)).temporary
    assert failure("sip:example.test:5060", {("example.test", A): None}).temporary
    # What is known is used all the same.
    assert found("sip:example.test", down | SERVICES | {("_sip._udp.example.test", SRV): None})[0].endswith("/tcp")


def test_however_much_a_domain_says_the_list_stays_short():
    many = {("_sip._udp.example.test", SRV): tuple(Srv(1, 1, 5060, f"h{n}.example.test") for n in range(1000))}
    many |= {(f"h{n}.example.test", A): tuple(f"10.{n >> 8}.{n & 255}.{m}" for m in range(200)) for n in range(1000)}
    asked: list = []
    assert len(found("sip:example.test", many, asked=asked, chance=cycle([0.1, 0.7]).__next__)) == TARGETS_MAX
    assert len(asked) < 100


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=12), st.randoms(use_true_random=False))
def test_every_server_is_in_the_order_once_and_priorities_hold(pairs, random):
    records = [Srv(priority, weight, 5060, f"h{n}") for n, (priority, weight) in enumerate(pairs)]
    ordered = in_order(records, random.random)
    assert Counter(ordered) == Counter(records)
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)


def test_a_server_of_three_times_the_weight_comes_first_three_times_as_often():
    random = Random(1)
    light, heavy, none = Srv(1, 10, 5060, "light"), Srv(1, 30, 5060, "heavy"), Srv(1, 0, 5060, "none")
    first = Counter(in_order([heavy, none, light], random.random)[0].host for _ in range(2000))
    assert 0.65 < first["heavy"] / 2000 < 0.82
    assert first["none"] / 2000 < 0.06


# What is remembered

Q = Question("example.test", A)


def test_an_answer_is_believed_for_its_ttl_and_doubted_after():
    cache = Cache()
    assert cache.look(Q, 0.0) is None
    cache.learn(Q, ("192.0.2.1",), 60.0, 0.0)
    assert cache.look(Q, 59.9) == Believed(("192.0.2.1",))
    assert cache.look(Q, 60.0) == Doubtful(("192.0.2.1",))
    assert cache.look(Q, 60.0 + STALE_S_MAX) is None


def test_while_the_dns_is_down_the_old_answer_is_used_without_asking_each_time():
    cache = Cache()
    cache.learn(Q, ("192.0.2.1",), 60.0, 0.0)
    cache.asked_in_vain(Q, 100.0)
    assert cache.look(Q, 100.0 + RETRY_S - 0.1) == Believed(("192.0.2.1",))
    assert cache.look(Q, 100.0 + RETRY_S) == Doubtful(("192.0.2.1",))


def test_silence_is_remembered_for_a_moment_and_an_answer_replaces_it():
    cache = Cache()
    cache.asked_in_vain(Q, 0.0)
    assert cache.look(Q, SILENCE_S - 0.1) == Believed(None)
    assert cache.look(Q, SILENCE_S) is None
    cache.learn(Q, (), 60.0, 6.0)
    assert cache.look(Q, 7.0) == Believed(())


def test_a_ttl_of_zero_does_not_mean_a_question_for_each_call_nor_a_year_a_year():
    cache = Cache()
    cache.learn(Q, ("192.0.2.1",), 0.0, 0.0)
    assert isinstance(cache.look(Q, 4.0), Believed)
    cache.learn(Q, ("192.0.2.1",), 1e9, 0.0)
    assert isinstance(cache.look(Q, 90_000.0), Doubtful)


def test_what_is_wanted_least_is_forgotten_first():
    cache = Cache()
    for number in range(ENTRIES_MAX + 1):
        cache.learn(Question(f"h{number}", A), (), 60.0, 0.0)
        cache.look(Question("h0", A), 0.0)
    assert len(cache) == ENTRIES_MAX
    assert cache.look(Question("h0", A), 0.0) is not None
    assert cache.look(Question("h1", A), 0.0) is None


def test_a_target_of_a_dialog_is_known_without_dns_only_when_it_is_an_address():
    assert literal_target(uri_untrusted("sip:bob@example.test")) is None
    assert str(literal_target(uri_untrusted("sip:bob@192.0.2.1;transport=tcp"))) == "192.0.2.1:5060/tcp"
