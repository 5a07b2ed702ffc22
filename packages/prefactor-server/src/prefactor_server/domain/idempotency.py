"""Idempotency keys: a request takes effect once, however often it is sent.

The key is written in the transaction of the effect, and only for successes, so a refused request
leaves its key unused. A key belongs to one operation, of one deployment or of the whole account.
"""

from __future__ import annotations

from typing import NamedTuple


class IdempotencyKey(NamedTuple):
    """A used key: the request that used it, and the result."""

    account_id: str
    operation: str
    key: str
    fingerprint: bytes
    resource_id: str
    inserted_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its operation and key."""
        return ((self.operation, self.key),)
