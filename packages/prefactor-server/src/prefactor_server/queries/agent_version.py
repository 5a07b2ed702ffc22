"""The reads of versions."""

from __future__ import annotations

from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.queries.in_use import VersionUse, find_uses, scoped_to_agent
from prefactor_server.storage.base import CurrentVersion, Storage


class AgentVersionQueries:
    """Reads versions; a deployment token knows those of its own agent."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, version_id: str) -> VersionUse[AgentVersion]:
        """A version by its id.

        Raises:
            NotFound: there is none, or none for this caller.
        """
        found = await self._storage.row(AgentVersion, principal.account_id, version_id)
        if found is None or principal.agent_id not in (None, found.agent_id):
            raise NotFound(f"Version {version_id!r} not found")
        (record,) = await find_uses(self._storage, principal, [found], _version_id)
        return record

    async def page(
        self, principal: Principal, listing: Listing
    ) -> tuple[Page[AgentVersion], list[VersionUse[AgentVersion]]]:
        """A page of versions, and how each of them is used."""
        listing = scoped_to_agent(principal, listing)
        page = await self._storage.rows(AgentVersion, principal.account_id, listing)
        return page, await find_uses(self._storage, principal, page.rows, _version_id)


def _version_id(current: CurrentVersion) -> str:
    return current.agent_version_id
