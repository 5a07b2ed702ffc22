"""The reads of API tokens."""

from __future__ import annotations

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.storage.base import Storage


class ApiTokenQueries:
    """Reads tokens."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def by_hash(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """The token with this hash, and whose it is."""
        return await self._storage.token_by_hash(token_hash)
