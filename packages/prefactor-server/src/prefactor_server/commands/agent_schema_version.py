"""The creation of schema versions. Registrations create them too, with the same deduplication."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.agent import require_agent
from prefactor_server.commands.agent_instance_register import DeclaredSchema
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.errors import InvalidAction
from prefactor_server.storage.base import Changes, Needs, Registration, Snapshot


class CreateSchemaVersion(NamedTuple):
    """Declare an agent's span types. ``chosen_id`` means that the request contains the id."""

    request: Request
    id: str
    chosen_id: bool
    agent_ref: str
    declared: DeclaredSchema
    operation: str = "agent_schema_versions.create"

    def needs(self, needs: Needs) -> None:
        """Add the agent, and its schema versions with the same content or the same id."""
        content_hash = self.declared.content.content_hash
        needs.registrations.add(Registration(self.agent_ref, None, content_hash, None, None))
        needs.rows.add((AgentSchemaVersion, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Create a schema version, or return the one with the same content and name."""
        agent = require_agent(snapshot, self.agent_ref)
        content = self.declared.content
        found = snapshot.get(AgentSchemaVersion, agent.id, content.content_hash)
        if found is not None and self.chosen_id:
            raise InvalidAction(f"The same schema version already exists, as {found.id!r}")
        if found is not None:
            return Decision(Changes(), Done(found.id, found))
        if snapshot.get(AgentSchemaVersion, self.id) is not None:
            raise InvalidAction(f"A schema version with the id {self.id!r} already exists")
        version = self.declared.version(self.request, self.id, agent.id)
        entry = audit_entry(self.request, self.operation, version.id, agent.name)
        changes = Changes(inserted=(version,), contents=(content,), audit=(entry,))
        return Decision(changes, Done(version.id, version))
