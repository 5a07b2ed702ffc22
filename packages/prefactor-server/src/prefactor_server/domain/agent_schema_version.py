"""An agent schema version: the span types that a version of an agent declares.

Versions are found by content, not by identifier, because the same identifier may recur with other
schemas. The content (the JSON of all span types) is stored once per account, under its hash.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class SchemaContent(NamedTuple):
    """The declared span types, as canonical JSON, encoded for storage."""

    account_id: str
    content_hash: bytes
    codec: int
    body: bytes


def content_hash(external_identifier: str | None, document: bytes) -> bytes:
    """Return the digest by which a declaration is found.

    Declarations with different identifiers are different versions, so the digest covers the
    identifier, preceded by its length to separate it from the document.
    """
    digest = hashlib.blake2b(digest_size=16)
    name = b"" if external_identifier is None else external_identifier.encode()
    digest.update(b"%d:%b" % (-1 if external_identifier is None else len(name), name))
    digest.update(document)
    return digest.digest()


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
        """Return its keys: its id, and its agent with its content."""
        return ((self.id,), (self.agent_id, self.content_hash))
