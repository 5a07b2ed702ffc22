"""The read of a run's skeleton."""

from __future__ import annotations

import asyncio

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_instance_skeleton import Skeleton, build_skeleton
from prefactor_server.domain.runs.cost import PriceTable
from prefactor_server.storage.base import Storage


class AgentInstanceSkeletonQueries:
    """Reads skeletons."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, run: AgentInstance, prices: PriceTable) -> Skeleton:
        """Return the skeleton of a run that the caller may see."""
        outlines = await self._storage.skeleton(run.account_id, run.id)
        # Ordering a hundred thousand spans must not block other requests.
        return await asyncio.to_thread(build_skeleton, outlines, run.started_at, prices)
