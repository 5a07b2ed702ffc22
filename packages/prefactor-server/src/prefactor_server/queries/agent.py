"""The reads of agents."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.runs.agent_instance import InstanceCounts
from prefactor_server.storage.base import AgentRecord, Storage

__all__ = ["AgentQueries", "AgentRecord", "InstanceCounts"]


class AgentQueries:
    """Reads agents. A deployment token sees only its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, ref: str) -> AgentRecord:
        """Return an agent by its id or its external identifier.

        Raises:
            NotFound: no such agent, or the caller may not see it.
        """
        record = await self._storage.agent(principal.account_id, ref)
        hidden = record is not None and principal.agent_id not in (None, record.agent.id)
        if record is None or hidden:
            raise NotFound(f"Agent {ref!r} not found")
        return record

    async def resolve_id(self, principal: Principal, ref: str) -> str:
        """Return the id of the agent with this id or external identifier, or ``ref`` itself."""
        record = await self._storage.agent(principal.account_id, ref)
        return ref if record is None else record.agent.id

    async def page(self, principal: Principal, listing: Listing) -> Page[AgentRecord]:
        """Return a page of agents."""
        if principal.agent_id is not None:
            own = Filter("id", "=", principal.agent_id)
            listing = listing._replace(filters=(*listing.filters, own))
        return await self._storage.agents(principal.account_id, listing)

    async def instance_counts(
        self, principal: Principal, agent_id: str, environment_id: str | None
    ) -> InstanceCounts:
        """Count an agent's runs by status, for a deployment token in its environment only."""
        return await self._storage.instance_counts(
            principal.account_id, agent_id, principal.environment_id or environment_id
        )
