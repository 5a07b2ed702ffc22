"""Valid and invalid ids and keys."""

import pytest

from prefactor_server.domain.ids import is_client_id, is_key


@pytest.mark.parametrize(
    "text", ["a", "A.b_c-d:e", "0", "x" * 64, "013xrzp12g3nqk8ns6jadrqmpgrjkeny"]
)
def test_valid_ids(text: str) -> None:
    """Letters, digits and a few signs make an id, of any case and up to 64 of them."""
    assert is_client_id(text)


@pytest.mark.parametrize(
    "text", ["", "x" * 65, "a b", "a/b", "a\n", "\n", "a\0", "é", "\u0663", "a%", "a\ud800", "*"]
)
def test_invalid_ids(text: str) -> None:
    """Nothing that a URL, a log or a database could misread is an id."""
    assert not is_client_id(text)


@pytest.mark.parametrize("text", ["k", "k" * 128, "with spaces", "schlüssel", "日本"])
def test_valid_keys(text: str) -> None:
    """Up to 128 printable characters, of any script, make an idempotency key."""
    assert is_key(text)


@pytest.mark.parametrize("text", ["", "k" * 129, "a\n", "a\0b", "\ud800", "\u200b"])
def test_invalid_keys(text: str) -> None:
    """An empty, overlong or unprintable text is not an idempotency key."""
    assert not is_key(text)
