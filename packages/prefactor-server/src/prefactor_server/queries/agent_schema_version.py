"""The reads of schema versions."""

from __future__ import annotations

from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page, Sort
from prefactor_server.queries.in_use import VersionUse, find_uses, scoped_to_agent
from prefactor_server.storage.base import CurrentVersion, Storage


class AgentSchemaVersionQueries:
    """Reads schema versions."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, version_id: str) -> VersionUse[AgentSchemaVersion]:
        """Return a schema version by its id.

        Raises:
            NotFound: no such schema version, or the caller may not see it.
        """
        found = await self._storage.row(AgentSchemaVersion, principal.account_id, version_id)
        if found is None or principal.agent_id not in (None, found.agent_id):
            raise NotFound(f"Schema version {version_id!r} not found")
        (record,) = await find_uses(self._storage, principal, [found], _schema_version_id)
        return record

    async def page(
        self, principal: Principal, listing: Listing
    ) -> tuple[Page[AgentSchemaVersion], list[VersionUse[AgentSchemaVersion]]]:
        """Return a page of schema versions, and how each of them is used."""
        listing = scoped_to_agent(principal, listing)
        page = await self._storage.rows(AgentSchemaVersion, principal.account_id, listing)
        uses = await find_uses(self._storage, principal, page.rows, _schema_version_id)
        return page, uses

    async def newest(self, principal: Principal, agent_ref: str) -> str | None:
        """Return the id of an agent's newest schema version, or None."""
        agent = await self._storage.agent(principal.account_id, agent_ref)
        if agent is None:
            return None
        newest = Listing(
            filters=(Filter("agent_id", "=", agent.agent.id),),
            sort=Sort("inserted_at", descending=True),
            page_size=1,
        )
        page = await self._storage.rows(AgentSchemaVersion, principal.account_id, newest)
        return page.rows[0].id if page.rows else None

    async def content(self, account_id: str, schema_version_id: str) -> bytes | None:
        """Return the JSON of a schema version, which never changes, or None."""
        return await self._storage.schema_content(account_id, schema_version_id)


def _schema_version_id(current: CurrentVersion) -> str:
    return current.agent_schema_version_id
