"""Encrypted secrets in the database."""

import os

import pytest

from prefactor_server.domain.errors import InvalidAction, SettingError
from prefactor_server.follower.webhooks.secret_box import SecretBox, UnreadableSecret

KEY = "a secret key that only tests have"


def test_a_secret_decrypts_for_its_row() -> None:
    """A secret decrypts with the same key for the same row, and each encryption differs."""
    box = SecretBox(KEY, os.urandom)
    stored = box.encrypt("whsec_1", "webhook-1")

    assert b"whsec" not in stored
    assert SecretBox(KEY, os.urandom).decrypt(stored, "webhook-1") == "whsec_1"
    assert box.encrypt("whsec_1", "webhook-1") != stored


@pytest.mark.parametrize(
    ("key", "belongs_to", "message"),
    [
        (KEY, "webhook-2", "damaged"),
        (KEY + "!", "webhook-1", "another PREFACTOR_SECRET_KEY"),
        ("", "webhook-1", "not set"),
    ],
)
def test_a_secret_needs_its_key_and_its_row(key: str, belongs_to: str, message: str) -> None:
    """Decrypting for another row, with another key or without one fails with a reason."""
    stored = SecretBox(KEY, os.urandom).encrypt("whsec_1", "webhook-1")

    with pytest.raises(UnreadableSecret, match=message):
        SecretBox(key, os.urandom).decrypt(stored, belongs_to)


def test_a_secret_needs_a_key() -> None:
    """A server without a key says how to set one, and a short key is refused."""
    with pytest.raises(InvalidAction, match="openssl rand"):
        SecretBox("", os.urandom).encrypt("whsec_1", "webhook-1")
    with pytest.raises(SettingError, match="at least 32 characters, got 5"):
        SecretBox("short", os.urandom)
