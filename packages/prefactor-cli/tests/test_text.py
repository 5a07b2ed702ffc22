"""Text from agents is shown, and cannot control the terminal."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefactor_cli.text import counted, escaped, printable, printable_lines

ANYTHING = st.text(st.characters(), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANYTHING,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(ANYTHING, parts, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_a_text_becomes_one_harmless_line(text: str) -> None:
    """Any text becomes one line of printable characters."""
    assert printable(text).isprintable()


@given(ANYTHING)
def test_a_text_of_several_lines_keeps_them(text: str) -> None:
    """Each line of a longer text is made printable, and none is lost."""
    lines = printable_lines(text)

    assert all(line.isprintable() for line in lines)
    assert len(lines) == text.replace("\r\n", "\n").count("\n") + 1


@given(JSON)
def test_json_is_harmless_and_means_the_same(value: Any) -> None:
    """Escaping keeps the value of every text that JSON can hold."""
    text = escaped(json.dumps(value, ensure_ascii=False))

    assert text.isprintable()
    assert json.loads(text) == value


def test_numbers_have_their_noun() -> None:
    """The noun after 1 is singular, and thousands are separated."""
    assert [counted(n, "run") for n in (0, 1, 3000)] == ["0 runs", "1 run", "3,000 runs"]
