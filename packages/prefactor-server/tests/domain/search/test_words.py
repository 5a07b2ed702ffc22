"""From texts and queries to words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.search.words import (
    MAX_WORD,
    Term,
    matches,
    scope_word,
    terms_of,
    words_in,
    words_with_positions,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Refund order-17 (EUR 12.50)!", {"refund", "order", "17", "eur", "12", "50"}),
        ("snake_case a\0b", {"snake", "case", "a", "b"}),
        ("Café CAFE\u0301 \uff46\uff55\uff4c\uff4c \U0001d468", {"cafe", "full", "a"}),
        ("Straße", {"strasse"}),
        ("Привет, мир", {"привет", "мир"}),
        ("東京都 is big", {"東京", "京都", "都", "is", "big"}),
        ("が ガ", {"が", "ガ"}),
        ("한국어", {"한국어"}),
        # Letters keep the marks that are part of a word, and lose those that readers add.
        ("हिन्दी தமிழ்", {"हिन्दी", "தமிழ்"}),
        ("السَّلام أحمد", {"السلام", "احمد"}),
        ("שָׁלוֹם", {"שלום"}),
        ("soft\u00adhyphen नम\u200dक", {"softhyphen", "नमक"}),
        ("\u0301 \u094d", set()),
        ("กินข้าว", {"กิ", "ิน", "นข", "ข้", "้า", "าว", "ว"}),
        ("👍 … ''", set()),
        ("x" * 100, {"x" * MAX_WORD}),
    ],
)
def test_words_are_letters_and_digits_without_case_and_accents(text: str, words: set[str]) -> None:
    """Words contain no separators; scripts without spaces become pairs."""
    assert words_in(text) == words


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("Refu", [("refu", True)]),
        ("of 17 of", [("of", False), ("17", False)]),
        ("мир", [("мир", True)]),
        ("東", [("東", True)]),
        ("東京都", [("東京", False), ("京都", False)]),
        (
            'a" OR b* NOT (c',
            [("a", False), ("or", False), ("b", False), ("not", True), ("c", False)],
        ),
        ("x" * 100, [("x" * MAX_WORD, True)]),
        ("' & | ! :* \\", []),
    ],
)
def test_a_query_is_text(query: str, terms: list[tuple[str, bool]]) -> None:
    """A query has words and no operators; words of three letters or more are also prefixes."""
    assert [tuple(term) for term in terms_of(query)] == terms


@given(st.text(max_size=80))
def test_every_text_is_found_by_itself(text: str) -> None:
    """Any recorded text is found by a query with the same text."""
    words = words_in(text)

    assert all(any(matches(term, word) for word in words) for term in terms_of(text))
    assert all(word and not set(word) & set(" '\"\\*:&|!()") for word in words)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_contains_a_scope(text: str, row_id: str) -> None:
    """The terms that mark an account, agent or environment can be neither recorded nor queried."""
    scope = scope_word("agent", row_id)

    assert scope not in words_in(text + scope)
    assert not any(matches(term, scope) for term in terms_of(text + scope))


def test_positions_are_those_of_the_words() -> None:
    """A word's place is its first character in the recorded text."""
    text = "Ein CAFE\u0301S in 東京"

    assert [(place.word, text[place.start]) for place in words_with_positions(text)] == [
        ("ein", "E"),
        ("cafes", "C"),
        ("in", "i"),
        ("東京", "東"),
        ("京", "京"),
    ]
    assert matches(Term("caf", is_prefix=True), "cafe")
