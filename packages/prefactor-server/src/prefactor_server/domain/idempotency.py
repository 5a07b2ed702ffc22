"""Idempotency keys: a request takes effect at most once, however often it is sent.

The key is written in the transaction of the effect, and only for successes, so a refused request
leaves its key unused. A key is scoped to an operation, and to a deployment or the account.
"""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.domain.errors import IdempotencyKeyUsed


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

    def check_repeated(self, fingerprint: bytes, name: str | None) -> None:
        """Reject a request that is not the one which used the key.

        ``name`` is the key as its caller knows it, without its scope.

        Raises:
            IdempotencyKeyUsed: the request is another one.
        """
        if fingerprint != self.fingerprint:
            raise IdempotencyKeyUsed(
                f"Idempotency key {name!r} was used for another {self.operation} request: "
                "use a new key for a new request"
            )
