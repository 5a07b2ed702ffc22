"""The reads of versions."""

from __future__ import annotations

from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.queries.in_use import VersionUse, find_uses, scoped_to_agent
from prefactor_server.storage.base import CurrentVersion, Storage


class AgentVersionQueries:
    """Reads versions. A deployment token sees only those of its own agent."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, version_id: str) -> VersionUse[AgentVersion]:
        """Return a version by its id.

        Raises:
            NotFound: no such version, or the caller may not see it.
        """
        found = await self._storage.row(AgentVersion, principal.account_id, version_id)
        if found is None or principal.agent_id not in (None, found.agent_id):
            raise NotFound(f"Version {version_id!r} not found")
        (record,) = await find_uses(self._storage, principal, [found], _version_id)
        return record

    async def page(
        self, principal: Principal, listing: Listing
    ) -> tuple[Page[AgentVersion], list[VersionUse[AgentVersion]]]:
        """Return a page of versions, and how each of them is used."""
        listing = scoped_to_agent(principal, listing)
        page = await self._storage.rows(AgentVersion, principal.account_id, listing)
        return page, await find_uses(self._storage, principal, page.rows, _version_id)


def _version_id(current: CurrentVersion) -> str:
    return current.agent_version_id
