"""The reads of schema versions."""

from __future__ import annotations

from prefactor_server.storage.base import Storage


class AgentSchemaVersionQueries:
    """Reads what runs declared."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def content(self, account_id: str, schema_version_id: str) -> bytes | None:
        """The JSON that a schema version declares. It never changes."""
        return await self._storage.schema_content(account_id, schema_version_id)
