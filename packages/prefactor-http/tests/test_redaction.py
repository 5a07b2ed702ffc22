"""The token never appears in text, in any spelling."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_http._redaction import MASK, Redactor, mask_userinfo

TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=80)


@given(TOKENS, st.text(), st.text())
def test_no_spelling_survives(token: str, before: str, after: str) -> None:
    """The token is removed plain, inside JSON and in a URL, and the rest stays."""
    redactor = Redactor(token)
    escaped = json.dumps(token)[1:-1]
    for spelling in (token, escaped, escaped.replace("/", "\\/"), quote(token, safe="")):
        shown = redactor.text(f"{before}{spelling}{after}")
        assert token not in shown.replace(MASK, "")
        assert MASK in shown


def test_nested_values_are_redacted() -> None:
    """Keys, list items and nested objects lose the token, and other values stay."""
    redactor = Redactor("secret-token")
    assert redactor.value({"a secret-token": ["x", {"y": "secret-token"}], "n": [1, None]}) == {
        f"a {MASK}": ["x", {"y": MASK}],
        "n": [1, None],
    }
    assert redactor.contains_secret("… secret-token …")
    assert "secret-token" not in repr(redactor)


def test_a_word_is_not_a_secret() -> None:
    """A token as common as `test` is not removed from messages about tests."""
    assert Redactor("test").text("this is a test") == "this is a test"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/base", "https://h/base"),
        ("https://me:pw@h:1/base", "https://***@h:1/base"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_credentials_in_urls_are_masked(url: str, shown: str) -> None:
    """A password inside a URL is not printed with it."""
    assert mask_userinfo(url) == shown
