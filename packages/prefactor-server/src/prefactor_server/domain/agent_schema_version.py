"""An agent schema version: the span types that a version of an agent declares.

Versions are found by content, not by their identifier: the same identifier may recur with other
schemas. The content itself (the JSON of all span types) is stored once per account under its hash.
"""

from __future__ import annotations

from typing import NamedTuple


class SchemaContent(NamedTuple):
    """The declared span types, as canonical JSON, encoded for storage."""

    account_id: str
    content_hash: bytes
    codec: int
    body: bytes


class AgentSchemaVersion(NamedTuple):
    """One schema version of one agent; ``content_hash`` names its ``SchemaContent``."""

    id: str
    account_id: str
    agent_id: str
    external_identifier: str | None
    content_hash: bytes
    span_type_count: int
    inserted_at: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str | bytes, ...], ...]:
        """Return keys by its id, and by its agent and content."""
        return ((self.id,), (self.agent_id, self.content_hash))
