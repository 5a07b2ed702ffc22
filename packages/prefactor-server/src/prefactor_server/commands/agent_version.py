"""The creation of versions. Registrations create them too, with the same deduplication."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.agent import require_agent
from prefactor_server.commands.agent_instance_register import DeclaredSchema, VersionMetadata
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.errors import InvalidAction, invalid
from prefactor_server.storage.base import Changes, Needs, Registration, Snapshot


class CreateVersion(NamedTuple):
    """Release an agent with the named schema version, or with its newest one.

    ``newest`` is the newest schema version as of the request; versions that the batch creates count
    too. ``empty_schema`` is the schema of an agent that never declared one. ``chosen_id`` means
    that the request contains the id.
    """

    request: Request
    id: str
    chosen_id: bool
    agent_ref: str
    metadata: VersionMetadata
    agent_schema_version_id: str | None
    newest: str | None
    empty_schema: DeclaredSchema
    new_schema_version_id: str
    operation: str = "agent_versions.create"

    def needs(self, needs: Needs) -> None:
        """Add the agent, the schema version, and versions with the same metadata or id."""
        needs.registrations.add(
            Registration(
                agent_ref=self.agent_ref,
                environment_id=None,
                content_hash=self.empty_schema.content.content_hash,
                metadata_hash=self.metadata.hash(),
                external_identifier=None,
                agent_schema_version_id=self.agent_schema_version_id or self.newest,
            )
        )
        needs.rows.add((AgentVersion, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Create a version, or return the one with the same content. Rename the agent after it."""
        agent = require_agent(snapshot, self.agent_ref)
        schema_version = self._schema_version(snapshot, agent)
        is_new_schema = schema_version is None
        if schema_version is None:
            schema_version = self.empty_schema.version(
                self.request, self.new_schema_version_id, agent.id
            )
        found = snapshot.get(AgentVersion, agent.id, self.metadata.hash(), schema_version.id)
        if found is not None and self.chosen_id:
            raise InvalidAction(f"The same version already exists, as {found.id!r}")
        if found is None and snapshot.get(AgentVersion, self.id) is not None:
            raise InvalidAction(f"A version with the id {self.id!r} already exists")
        version = found or self.metadata.version(self.request, self.id, schema_version)
        changes = Changes(
            inserted=(
                *((schema_version,) if is_new_schema else ()),
                *((version,) if found is None else ()),
            ),
            updated=self._renamed(agent),
            contents=(self.empty_schema.content,) if is_new_schema else (),
        )
        if changes.inserted or changes.updated:
            entry = audit_entry(self.request, self.operation, version.id, agent.name)
            changes = replace(changes, audit=(entry,))
        return Decision(changes, Done(version.id, version))

    def _schema_version(self, snapshot: Snapshot, agent: Agent) -> AgentSchemaVersion | None:
        if self.agent_schema_version_id is not None:
            named = snapshot.get(AgentSchemaVersion, self.agent_schema_version_id)
            if named is None or named.agent_id != agent.id:
                raise invalid("agent_schema_version_id", "is not a schema version of this agent")
            return named
        own = [one for one in snapshot.rows(AgentSchemaVersion) if one.agent_id == agent.id]
        return max(own, key=lambda one: (one.inserted_at, one.id), default=None)

    def _renamed(self, agent: Agent) -> tuple[Agent, ...]:
        name = self.metadata.name or agent.name
        description = self.metadata.description or agent.description
        if (name, description) == (agent.name, agent.description):
            return ()
        now = self.request.now
        return (agent._replace(name=name, description=description, updated_at=now),)
