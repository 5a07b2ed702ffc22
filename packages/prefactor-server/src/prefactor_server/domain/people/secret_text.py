"""Secrets that name their account and row, followed by random text.

Used for invitations, sessions and sign-in links. Because a secret names its row, no lookup spans
accounts. Only the hash of the text is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final, NamedTuple

from prefactor_server.domain.ids import is_client_id

_RANDOM_BYTES: Final = 24
# No id contains it, and it needs no escaping in URLs and cookies.
_SEPARATOR: Final = "~"
_PART_COUNT: Final = 3
MAX_SECRET_LENGTH: Final = 200
"""More than secrets with the longest ids have."""


class SecretRef(NamedTuple):
    """The account and the row that a secret claims to belong to."""

    account_id: str
    row_id: str


def make_secret(prefix: str, ref: SecretRef, random_bytes: Callable[[int], bytes]) -> str:
    """Return a new secret with 192 random bits."""
    random = base64.urlsafe_b64encode(random_bytes(_RANDOM_BYTES)).decode()
    return prefix + _SEPARATOR.join([ref.account_id, ref.row_id, random])


def read_secret(prefix: str, text: str) -> SecretRef | None:
    """Return the row that a secret claims to belong to, or None if it is malformed."""
    parts = text.removeprefix(prefix).split(_SEPARATOR)
    if not text.startswith(prefix) or len(parts) != _PART_COUNT:
        return None
    account_id, row_id, _ = parts
    if not is_client_id(account_id) or not is_client_id(row_id):
        return None
    return SecretRef(account_id, row_id)


def hash_secret(text: str) -> bytes:
    """Return the hash of a secret that is stored."""
    return hashlib.sha256(text.encode()).digest()


def is_secret_of(secret_hash: bytes, stored_hash: bytes) -> bool:
    """Return whether a secret has this hash, in constant time."""
    return hmac.compare_digest(secret_hash, stored_hash)
