"""The reads for received OpenTelemetry traces."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.queries.visibility import scoped_to
from prefactor_server.storage.base import Storage


class OtlpTraceQueries:
    """Reads traces, their runs and environments."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def find(self, principal: Principal, key: str) -> OtlpTrace | None:
        """Return the row of a trace, or None."""
        return await self._storage.row(OtlpTrace, principal.account_id, key)

    async def run(
        self, principal: Principal, agent_ref: str, trace_id: str
    ) -> AgentInstance | None:
        """Return the run of an agent's trace, or None if the caller sees no such run."""
        record = await self._storage.agent(principal.account_id, agent_ref)
        if record is None:
            return None
        filters = (
            Filter("agent_id", "=", record.agent.id),
            Filter("external_identifier", "=", trace_id),
        )
        listing = scoped_to(principal, Listing(filters, page_size=1))
        page = await self._storage.instances(principal.account_id, listing)
        return page.rows[0] if page.rows else None

    async def environment(self, principal: Principal, name: str) -> Environment | None:
        """Return the oldest environment with this name, or None."""
        listing = Listing((Filter("name", "=", name),), page_size=1)
        page = await self._storage.rows(Environment, principal.account_id, listing)
        return page.rows[0] if page.rows else None
