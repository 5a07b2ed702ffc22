"""An agent version: a release of an agent, paired permanently with one schema version."""

from __future__ import annotations

from typing import NamedTuple


class AgentVersion(NamedTuple):
    """One version. ``metadata_hash`` covers everything that a registration says about it."""

    id: str
    account_id: str
    agent_id: str
    agent_schema_version_id: str
    external_identifier: str | None
    name: str | None
    description: str | None
    runtime_environment: bytes | None
    metadata_hash: bytes
    inserted_at: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str | bytes, ...], ...]:
        """Return its keys: its id, and its agent with its metadata and schema version."""
        return ((self.id,), (self.agent_id, self.metadata_hash, self.agent_schema_version_id))
