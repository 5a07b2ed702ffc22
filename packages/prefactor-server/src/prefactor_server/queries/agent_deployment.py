"""The reads of deployments."""

from __future__ import annotations

from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.queries.visibility import scoped_to
from prefactor_server.storage.base import Storage


class AgentDeploymentQueries:
    """Reads deployments. A deployment token sees only its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, deployment_id: str) -> AgentDeployment:
        """Return a deployment by its id.

        Raises:
            NotFound: no such deployment, or the caller may not see it.
        """
        found = await self._storage.row(AgentDeployment, principal.account_id, deployment_id)
        if found is None or not principal.can_see(found.agent_id, found.environment_id):
            raise NotFound(f"Deployment {deployment_id!r} not found")
        return found

    async def page(self, principal: Principal, listing: Listing) -> Page[AgentDeployment]:
        """Return a page of deployments."""
        listing = scoped_to(principal, listing)
        return await self._storage.rows(AgentDeployment, principal.account_id, listing)
