"""The reads of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prefactor_server.domain.agent_instance import AgentInstance
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.domain.quality import InstanceQuality
from prefactor_server.queries.visibility import within_sight
from prefactor_server.storage.base import Storage


class InstanceRecord(NamedTuple):
    """A run with its quality, and how many spans it has of each type."""

    run: AgentInstance
    quality: InstanceQuality | None
    span_schema_counts: Mapping[str, int]


class AgentInstanceQueries:
    """Reads runs."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def find(self, principal: Principal, instance_id: str) -> AgentInstance | None:
        """A run by its id, or None when there is none for this caller."""
        run = await self._storage.instance(principal.account_id, instance_id)
        if run is None or not principal.sees(run.agent_id, run.environment_id):
            return None
        return run

    async def show(self, principal: Principal, instance_id: str) -> AgentInstance:
        """A run by its id.

        Raises:
            NotFound: there is none, or none for this caller.
        """
        run = await self.find(principal, instance_id)
        if run is None:
            raise NotFound(f"Agent instance {instance_id!r} not found")
        return run

    async def record(self, principal: Principal, instance_id: str) -> InstanceRecord:
        """A run by its id, with what belongs to it.

        Raises:
            NotFound: there is none, or none for this caller.
        """
        run = await self.show(principal, instance_id)
        counts = await self._storage.span_schema_counts(run.account_id, run.id)
        return InstanceRecord(run, await self.quality(run), counts)

    async def quality(self, run: AgentInstance) -> InstanceQuality | None:
        """What evaluations said of a run, if any did."""
        return await self._storage.row(InstanceQuality, run.account_id, run.id)

    async def page(self, principal: Principal, listing: Listing) -> Page[AgentInstance]:
        """A page of runs."""
        return await self._storage.instances(principal.account_id, within_sight(principal, listing))
