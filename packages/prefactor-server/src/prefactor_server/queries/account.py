"""The reads of accounts."""

from __future__ import annotations

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.storage.base import Storage


class AccountQueries:
    """Reads accounts. A caller sees only its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, account_id: str) -> Account:
        """Return an account by its id.

        Raises:
            NotFound: no such account, or the caller may not see it.
        """
        own = account_id == principal.account_id
        found = await self._storage.account(account_id) if own else None
        if found is None:
            raise NotFound(f"Account {account_id!r} not found")
        return found

    async def page(self, principal: Principal, listing: Listing) -> Page[Account]:
        """Return a page of the accounts that the caller may see."""
        own = await self.show(principal, principal.account_id)
        first = listing.offset == 0 and listing.after is None
        return Page([own] if first else [], 1, None)
