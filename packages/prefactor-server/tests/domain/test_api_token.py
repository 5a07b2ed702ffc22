"""The text of API tokens, and their effective status."""

import os
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.api_token import (
    ApiToken,
    TokenScope,
    TokenStatus,
    displayed_start,
    hash_token,
    looks_mistyped,
    make_token,
    token_status,
)

SCOPES: list[tuple[TokenScope, str]] = [
    ("account", "pf_account_"),
    ("agent_deployment", "pf_deployment_"),
]
TOKENS = st.builds(
    lambda scope, raw: make_token(scope, lambda _: raw),
    st.sampled_from([scope for scope, _ in SCOPES]),
    st.binary(min_size=24, max_size=24),
)


@pytest.mark.parametrize(("scope", "prefix"), SCOPES)
def test_the_form_of_a_token(scope: TokenScope, prefix: str) -> None:
    """A token is its kind, 33 random characters and a checksum of 6, all valid in a header."""
    token = make_token(scope, os.urandom)

    assert re.fullmatch(prefix + r"[0-9A-Za-z]{33}_[0-9A-Za-z]{6}", token)
    assert not looks_mistyped(token)


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=24, max_size=24))
def test_no_randomness_is_lost(one: bytes, two: bytes) -> None:
    """Different random bytes give different tokens, because all 192 bits are in the text."""
    first, second = (make_token("account", lambda _, raw=raw: raw) for raw in (one, two))

    assert (first == second) == (one == two)


@given(TOKENS, st.data())
def test_one_wrong_character_is_detected(token: str, data: st.DataObject) -> None:
    """One mistyped character after the prefix is detected."""
    start = token.index("_", 3) + 1
    at = data.draw(st.integers(start, len(token) - 1).filter(lambda i: token[i] != "_"))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits))
    if other != token[at]:
        assert looks_mistyped(token[:at] + other + token[at + 1 :])


@given(TOKENS, st.integers(12, 50))
def test_a_truncated_token_is_detected(token: str, length: int) -> None:
    """A token without its last characters is detected as mistyped."""
    if 14 <= length < len(token):
        assert looks_mistyped(token[:length])


@pytest.mark.parametrize(
    "token", ["", "secret", "pf_other_abc_defghi", "pf-account_x", "eyJhbGci.x"]
)
def test_a_token_of_another_form_is_not_judged(token: str) -> None:
    """A token that an operator chose has no checksum, so it never counts as mistyped."""
    assert not looks_mistyped(token)


@pytest.mark.parametrize(("scope", "prefix"), SCOPES)
def test_the_shown_part_of_a_token(scope: TokenScope, prefix: str) -> None:
    """The kind and a few of the 33 random characters are shown."""
    token = make_token(scope, os.urandom)

    assert displayed_start(token) == token[:16]
    assert token[:16].startswith(prefix)


@pytest.mark.parametrize(
    "token", ["my-own-token-of-the-house", "pf_0123456789abc", "pf_account_guess"]
)
def test_an_operators_token_is_not_shown(token: str) -> None:
    """No part of an operator's own token is shown, because its start may be all of it."""
    assert displayed_start(token) == ""


def test_a_token_is_kept_as_its_hash() -> None:
    """A token is stored as its SHA-256."""
    assert hash_token("abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223")
    assert hash_token("abc") != hash_token("abd")


@pytest.mark.parametrize(
    ("status", "expires_at", "expected"),
    [
        ("active", None, "active"),
        ("active", 101, "active"),
        ("active", 100, "expired"),
        ("active", 99, "expired"),
        ("suspended", 99, "suspended"),
        ("revoked", 99, "revoked"),
        ("revoked", None, "revoked"),
    ],
)
def test_the_effective_status(status: TokenStatus, expires_at: int | None, expected: str) -> None:
    """An active token expires at its exact time, and other statuses stay."""
    token = ApiToken("t", "a", "account", None, None, None, b"", "", expires_at, 0, status, None, 0)

    assert token_status(token, 100) == expected
