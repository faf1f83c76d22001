"""The line of every key is known, however the file is written."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from mediaha.tca.lines import line_of, positions


def test_tables_keys_and_elements_have_their_lines():
    text = """\
# a comment
name = "x"            # another

[[media]]
name = "one"
interfaces = [
  "127.0.0.1",        # first
  "pub/10.0.0.1",
]
[[media]]
name = 'two'
[media.extra]
deep.key = 1
"""
    tomllib.loads(text)
    found = positions(text)
    assert found["name",] == 2
    assert found["media", 0] == 4
    assert found["media", 0, "interfaces"] == 6
    assert found["media", 0, "interfaces", 1] == 8
    assert found["media", 1, "name"] == 11
    assert found["media", 1, "extra"] == 12
    assert found["media", 1, "extra", "deep", "key"] == 13


def test_strings_and_inline_tables_do_not_lead_astray():
    text = '''\
a = """
[not.a.table]
b = "no"
"""
c = {d = [1, 2], "e f" = 'x = 1 # no'}
g = "a \\" [h]"
"i.j" = 1979-05-27 07:32:00
'k"' = """ends in a quote\\""""""
l = 1
'''
    document = tomllib.loads(text)
    found = positions(text)
    assert {path[0] for path in found} == set(document)
    assert found["c", "e f"] == 5
    assert found["i.j",] == 7
    assert found["l",] == 9


def test_what_is_not_written_down_has_the_line_of_what_is_around_it():
    found = positions("[timings]\nheartbeat_ms = 50\n")
    assert line_of(found, ("timings", "silence_ms_max")) == 1
    assert line_of(found, ("domains", 0)) == 0


WORDS = st.text("abcdef", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers(-9, 9).map(str)
    | st.sampled_from(["true", '"a # b"', "'[c]'", '"""\n d = 1\n"""', "'''\n[e]\n'''", "1.5", '"\\""', "[]", "{}"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[ # comment ] \n" + ",\n".join(items) + "\n]"),
    max_leaves=5,
)


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=4), max_size=4))
def test_every_key_of_any_document_is_found_on_the_line_where_it_is_written(tables):
    lines: list[str] = []
    expected = {}
    for table, pairs in tables.items():
        lines.append(f"[{table}] # here")
        expected[table,] = len("\n".join(lines).split("\n"))
        for key, value in pairs.items():
            expected[table, key] = len("\n".join(lines).split("\n")) + 1
            lines.append(f"{key} = {value}")
    text = "\n".join(lines)
    tomllib.loads(text)
    found = positions(text)
    assert {path: found[path] for path in expected} == expected
