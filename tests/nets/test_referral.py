"""Whatever a REFER says, it is read or refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaha.nets.referral import Replaces, Unwilling, is_secure, referral_untrusted, replaces_untrusted
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Headers, Request

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=200)


def refer(*refer_to, **more):
    fields = [("Refer-To", value) for value in refer_to] + [(name.replace("_", "-"), more[name]) for name in more]
    return Request("REFER", "sip:nets@192.0.2.1", Headers(fields))


def test_a_refer_says_who_is_to_be_called_and_nothing_else():
    headers = "Subject=x&Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc"
    said = referral_untrusted(refer(f'"Sue" <sip:sue@sue.test;user=phone;method=INVITE?{headers}>'))
    assert said.uri == "sip:sue@sue.test;user=phone"
    assert said.replaces == Replaces("a", "b", "c")
    assert not is_secure(said)
    assert is_secure(referral_untrusted(refer("<sips:a@b.test>")))


@pytest.mark.parametrize(
    ("refer_to", "fault"),
    [
        ((), Malformed),
        (("<sip:a@b.test>", "<sip:c@d.test>"), Malformed),
        (("nonsense",), Malformed),
        (("<sip:a@b.test?Replaces=a>",), Malformed),
        (("<sip:a@b.test?Replaces=a%0D%0AX%3A1%3Bto-tag%3Db%3Bfrom-tag%3Dc>",), Malformed),
        (("<http://b.test>",), Unwilling),
        (("<sip:a@b.test;method=SUBSCRIBE>",), Unwilling),
    ],
)
def test_what_cannot_be_followed(refer_to, fault):
    with pytest.raises(fault):
        referral_untrusted(refer(*refer_to))


@given(TEXTS)
def test_any_refer_to_is_read_or_refused(text):
    try:
        said = referral_untrusted(refer(text))
    except (Malformed, Unwilling):
        return
    assert not set(said.uri) & set('<>" \r\n')


@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_a_replaces_is_written_as_it_was_read(call_id, to_tag, from_tag, early):
    try:
        said = replaces_untrusted(Replaces(call_id, to_tag, from_tag, early).value())
    except Malformed:
        return
    assert replaces_untrusted(said.value()) == said
    assert "\n" not in said.value()
    again = refer(f"<sip:a@b.test?Replaces={quote(said.value(), safe='')}>")
    assert referral_untrusted(again).replaces == said
