"""What a fault does to a media server must not be done to others."""

from hypothesis import given
from hypothesis import strategies as st

from mediaha.drill.faults import ports_except

ports = st.integers(1, 60)


def test_ports_of_others_are_left_out_of_a_cut():
    assert ports_except((30000, 30009), []) == [(30000, 30009)]
    assert ports_except((30000, 30009), [29999, 30010, 5060]) == [(30000, 30009)]
    assert ports_except((30000, 30009), [30003, 30004, 30007]) == [(30000, 30002), (30005, 30006), (30008, 30009)]
    assert ports_except((30000, 30009), [30000, 30009]) == [(30001, 30008)]
    assert ports_except((30000, 30000), [30000]) == []


@given(ports, ports, st.sets(ports))
def test_a_cut_is_the_range_without_the_spared_ports_whatever_they_are(one, other, spared):
    first, last = sorted((one, other))
    spans = ports_except((first, last), spared)
    cut = [port for begins, ends in spans for port in range(begins, ends + 1)]
    assert cut == sorted(set(range(first, last + 1)) - spared)
