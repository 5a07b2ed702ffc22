"""Secrets that say where they belong: an account, a row in it, and random text.

Invitations, sessions and links to sign in have one. Because the secret names its row, nothing is
searched across accounts. Of the text the hash alone is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final, NamedTuple

from prefactor_server.domain.ids import is_client_id

_RANDOM_BYTES: Final = 24
# In no id, and in an address or a cookie as it is.
_SEPARATOR: Final = "~"
_PART_COUNT: Final = 3
MAX_SECRET_LENGTH: Final = 200
"""More than the longest ids need."""


class SecretRef(NamedTuple):
    """The account and the row that a secret claims to belong to."""

    account_id: str
    row_id: str


def make_secret(prefix: str, ref: SecretRef, random_bytes: Callable[[int], bytes]) -> str:
    """Return a fresh secret with 192 random bits."""
    random = base64.urlsafe_b64encode(random_bytes(_RANDOM_BYTES)).decode()
    return prefix + _SEPARATOR.join([ref.account_id, ref.row_id, random])


def read_secret(prefix: str, text: str) -> SecretRef | None:
    """Return what a secret claims to belong to, or None if it has another form."""
    parts = text.removeprefix(prefix).split(_SEPARATOR)
    if not text.startswith(prefix) or len(parts) != _PART_COUNT:
        return None
    account_id, row_id, _ = parts
    if not is_client_id(account_id) or not is_client_id(row_id):
        return None
    return SecretRef(account_id, row_id)


def hash_secret(text: str) -> bytes:
    """Return what is stored in place of a secret."""
    return hashlib.sha256(text.encode()).digest()


def is_secret_of(secret_hash: bytes, stored_hash: bytes) -> bool:
    """Compare hashes in constant time."""
    return hmac.compare_digest(secret_hash, stored_hash)
