"""The reads of environments."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.storage.base import Storage


class EnvironmentQueries:
    """Reads environments."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, environment_id: str) -> Environment:
        """Return an environment by its id.

        Raises:
            NotFound: no such environment.
        """
        found = await self._storage.row(Environment, principal.account_id, environment_id)
        if found is None:
            raise NotFound(f"Environment {environment_id!r} not found")
        return found

    async def default(self, principal: Principal) -> Environment:
        """Return the account's default environment, which every account has.

        Raises:
            NotFound: the account was created without one.
        """
        listing = Listing((Filter("is_default", "=", value=True),), page_size=1)
        page = await self.page(principal, listing)
        if not page.rows:
            raise NotFound("The account has no default environment")
        return page.rows[0]

    async def page(self, principal: Principal, listing: Listing) -> Page[Environment]:
        """Return a page of environments."""
        return await self._storage.rows(Environment, principal.account_id, listing)
