"""The reads of invitations."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page, Sort
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.storage.base import Storage


class AdminUserInviteQueries:
    """Reads invitations, for account tokens only."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, invite_id: str) -> AdminUserInvite:
        """Return an invitation by its id.

        Raises:
            NotFound: no such invitation.
        """
        found = await self._storage.row(AdminUserInvite, principal.account_id, invite_id)
        if found is None:
            raise NotFound(f"Invite {invite_id!r} not found")
        return found

    async def pending(self, account_id: str, email: str) -> AdminUserInvite | None:
        """Return the latest unused invitation of an address, or None."""
        filters = (Filter("email", "=", email), Filter("status", "=", "pending"))
        listing = Listing(filters, Sort("inserted_at", descending=True))
        page = await self._storage.rows(AdminUserInvite, account_id, listing)
        return page.rows[0] if page.rows else None

    async def page(self, principal: Principal, listing: Listing) -> Page[AdminUserInvite]:
        """Return a page of invitations."""
        return await self._storage.rows(AdminUserInvite, principal.account_id, listing)
