"""The reads of people."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.storage.base import Storage


class AdminUserQueries:
    """Reads people."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, user_id: str) -> AdminUser:
        """Return a person by their id.

        Raises:
            NotFound: no such person.
        """
        found = await self._storage.row(AdminUser, principal.account_id, user_id)
        if found is None:
            raise NotFound(f"Admin user {user_id!r} not found")
        return found

    async def stored(self, account_id: str, user_id: str) -> AdminUser | None:
        """Return a person by account and id, during sign-in."""
        return await self._storage.row(AdminUser, account_id, user_id)

    async def page(self, principal: Principal, listing: Listing) -> Page[AdminUser]:
        """Return a page of people."""
        return await self._storage.rows(AdminUser, principal.account_id, listing)

    async def by_identity(self, account_id: str, issuer: str, subject: str) -> AdminUser | None:
        """Return the person with a provider's issuer and subject, or None."""
        filters = (Filter("openid_subject", "=", subject), Filter("openid_issuer", "=", issuer))
        page = await self._storage.rows(AdminUser, account_id, Listing(filters))
        return page.rows[0] if page.rows else None

    async def by_email(self, email: str) -> Sequence[AdminUser]:
        """Return the people of all accounts with an e-mail address, ignoring case, oldest first."""
        return await self._storage.admin_users_by_email(email)
