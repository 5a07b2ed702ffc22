"""The reads of people."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.storage.base import Storage


class AdminUserQueries:
    """Reads people."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, user_id: str) -> AdminUser:
        """One of them by its id.

        Raises:
            NotFound: there is none.
        """
        found = await self._storage.row(AdminUser, principal.account_id, user_id)
        if found is None:
            raise NotFound(f"Admin user {user_id!r} not found")
        return found

    async def page(self, principal: Principal, listing: Listing) -> Page[AdminUser]:
        """A page of them."""
        return await self._storage.rows(AdminUser, principal.account_id, listing)

    async def by_email(self, email: str) -> Sequence[AdminUser]:
        """Return the people with an address, in any case and account, oldest first."""
        return await self._storage.admin_users_by_email(email)
