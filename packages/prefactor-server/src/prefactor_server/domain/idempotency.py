"""Idempotency keys: a request takes effect at most once, however often it is sent.

The key is written in the transaction of the effect, and only for successes, so a refused request
leaves its key unused. A key is scoped to an operation, and to a deployment or the account.
Whether a request repeats another is decided in ``commands/base.py``.
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
        """Return its key: its operation and the idempotency key."""
        return ((self.operation, self.key),)
