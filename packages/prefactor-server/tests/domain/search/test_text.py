"""The text of a span, and where a query is found in it."""

import pytest

from prefactor_server.domain.search.snippet import snippet
from prefactor_server.domain.search.text import MAX_TEXT_BYTES, span_text
from prefactor_server.domain.search.words import terms_of


def test_values_are_indexed_and_names_are_not() -> None:
    """The summary comes first, then texts and numbers of the payloads, at any depth."""
    payload = {"inputs": [{"city": "Paris", "days": 3}, True, None, ""]}

    assert span_text("A trip", payload, "done").text == "A trip\nParis\n3\ndone"
    assert span_text(None, {}, None).text == ""


@pytest.mark.parametrize(
    "marked",
    [
        {"$sensitive": "pii", "value": "secret"},
        {"$sensitive": None, "value": {"deep": ["secret"]}, "note": "secret"},
        {"outer": [{"$sensitive": "pii", "value": "secret", "labels": ["secret"]}]},
    ],
)
def test_no_part_of_a_sensitive_value_is_text(marked: object) -> None:
    """Nothing of a value marked as sensitive is indexed."""
    assert span_text(None, {"a": "open", "b": marked}, marked).text == "open"


@pytest.mark.parametrize("character", ["x", "é", "東", "😀"])
def test_a_long_text_is_cut_at_a_character(character: str) -> None:
    """64 KiB of whole characters are kept, and the text says that it was cut."""
    size = len(character.encode())
    fits = character * (MAX_TEXT_BYTES // size)

    assert span_text(None, fits) == (fits, False)
    cut = span_text(None, [fits, "more"])
    assert cut.is_cut
    assert cut.text.rstrip("\n") == fits


def test_lone_surrogates_are_replaced() -> None:
    """A lone surrogate does not make a span unsearchable."""
    assert span_text(None, "a \ud800 b") == ("a ? b", False)


def test_a_snippet_is_the_text_around_the_first_match() -> None:
    """The surrounding text is quoted as recorded, with marks where something was left out."""
    text = f"{'before ' * 30}Refunded\nthe  <b>order</b>{' after' * 60}"

    found = snippet(text, terms_of("order refund"))

    assert found is not None
    assert "Refunded the <b>order</b> after" in found
    assert found.startswith("…before")
    assert found.endswith("…")
    assert snippet("short text", terms_of("text")) == "short text"
    assert snippet("short text", terms_of("other")) is None
