"""The line locator against tomllib, and against noise."""

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.settings.line_numbers import line_of, locate

TEXT = '''\
# a comment = with an equals sign
top = 1
"quoted key" = 2   # comment with [brackets] and "quotes"

[a]
plain = "#no comment"
dotted.deep.key = 1
inline = { x = 1, y = { z = [2] } }
list = [
  1, # ] not the end
  "]",
  [2,
   3],
]
long = """
[not.a.header]
key = 1
""""
after = 1
literal = \'\'\'
[x]\\
\'\'\'
escaped = """ \\""" still "" inside """
[ b . "c d" . e ]
k = 1
[b]
late = 2
[[many]]
one = 1
'''


def test_every_key_has_its_line() -> None:
    tomllib.loads(TEXT)  # the text is what it claims to be
    found = locate(TEXT)
    for path, line in {
        ("top",): 2,
        ("quoted key",): 3,
        ("a",): 5,
        ("a", "plain"): 6,
        ("a", "dotted"): 7,
        ("a", "dotted", "deep", "key"): 7,
        ("a", "inline"): 8,
        ("a", "list"): 9,
        ("a", "long"): 15,
        ("a", "after"): 19,
        ("a", "literal"): 20,
        ("a", "escaped"): 23,
        ("b", "c d", "e"): 24,
        ("b", "c d", "e", "k"): 25,
        ("b",): 26,
        ("b", "late"): 27,
        ("many",): 28,
        ("many", "one"): 29,
    }.items():
        assert found[path] == line, path
    assert ("not",) not in found
    assert ("x",) not in found


def test_what_has_no_line_of_its_own_has_that_of_the_nearest_around_it() -> None:
    found = locate(TEXT)
    assert line_of(found, ("a", "inline", "y", "z", 0)) == 8
    assert line_of(found, ("a", "missing")) == 5
    assert line_of(found, ("nowhere",)) == 1
    assert line_of(found, ()) == 1


@given(st.text(alphabet=st.sampled_from("ab.=[]{}\"'\\#\n\r\t, 1é"), max_size=200) | st.text(max_size=100))
def test_it_never_raises(text: str) -> None:
    last = text.count("\n") + 1
    assert all(1 <= line <= last for line in locate(text).values())


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)
VALUES = st.sampled_from(
    [
        "1",
        '"[x]"',
        "'\"'",
        '"""\na = 1\n[b]\n"""',
        "'''\n]'''",
        "[\n1, # [\n2]",
        "{ a = 1 }",
        '"\\""',
        '""',
        '""""""',
    ]
)
TABLES = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4)


def written(key: str) -> str:
    escaped = "".join(
        f"\\U{ord(letter):08X}" if letter in '"\\' or not letter.isprintable() else letter for letter in key
    )
    return key if key.isascii() and key.isalnum() else f'"{escaped}"'


@settings(max_examples=200)
@given(TABLES, st.sampled_from(["", "  ", "\t"]))
def test_it_agrees_with_what_was_written(tables: dict[str, dict[str, str]], indent: str) -> None:
    text = ""
    expected: dict[tuple[str | int, ...], int] = {}
    for table, content in tables.items():
        expected[(table,)] = text.count("\n") + 1
        text += f"[{written(table)}] # [comment]\n\n"
        for key, value in content.items():
            expected[(table, key)] = text.count("\n") + 1
            text += f"{indent}{written(key)} = {value}\n"
    parsed: dict[str, Any] = tomllib.loads(text)
    assert {table: set(content) for table, content in parsed.items()} == {
        t: set(c) for t, c in tables.items()
    }
    assert locate(text) == expected
