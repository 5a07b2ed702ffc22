"""The reads of risk profiles."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.risk.risk_profile import RiskProfile, require_profile
from prefactor_server.storage.base import Storage


class RiskProfileQueries:
    """Reads profiles, except deleted ones."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, profile_id: str) -> RiskProfile:
        """Return a profile by its id.

        Raises:
            NotFound: no such profile.
        """
        found = await self._storage.row(RiskProfile, principal.account_id, profile_id)
        return require_profile(found, profile_id)

    async def show_including_deleted(self, principal: Principal, profile_id: str) -> RiskProfile:
        """Return a profile by its id, even if it was deleted.

        Raises:
            NotFound: no such profile, not even a deleted one.
        """
        found = await self._storage.row(RiskProfile, principal.account_id, profile_id)
        if found is None:
            raise NotFound(f"Risk profile {profile_id!r} not found")
        return found

    async def page(self, principal: Principal, listing: Listing) -> Page[RiskProfile]:
        """Return a page of profiles."""
        not_deleted = Filter("deleted_at", "is null", None)
        listing = listing._replace(filters=(*listing.filters, not_deleted))
        return await self._storage.rows(RiskProfile, principal.account_id, listing)
