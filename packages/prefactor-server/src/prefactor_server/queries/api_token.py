"""The reads of API tokens."""

from __future__ import annotations

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken, Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.storage.base import Storage


class ApiTokenQueries:
    """Reads tokens."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, token_id: str) -> ApiToken:
        """Return a token by its id.

        Raises:
            NotFound: no such token.
        """
        found = await self._storage.row(ApiToken, principal.account_id, token_id)
        if found is None:
            raise NotFound(f"Token {token_id!r} not found")
        return found

    async def page(self, principal: Principal, listing: Listing) -> Page[ApiToken]:
        """Return a page of tokens."""
        return await self._storage.rows(ApiToken, principal.account_id, listing)

    async def by_hash(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """Return the token with this hash and its account, or None."""
        return await self._storage.token_by_hash(token_hash)
