"""Idempotency keys: one effect for a request, however often it arrives.

The key is written in the transaction of the effect, and only for successes: a refused request
leaves its key free. It belongs to one operation, of one deployment or of the account at large.
"""

from __future__ import annotations

from typing import NamedTuple


class IdempotencyKey(NamedTuple):
    """That a key was used: for which request, and what came of it."""

    account_id: str
    operation: str
    key: str
    fingerprint: bytes
    resource_id: str
    inserted_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its operation and key."""
        return ((self.operation, self.key),)
