"""The registration of a run, which finds or creates everything that the run belongs to.

agent → deployment in an environment → version → schema version → run. Versions are found by
content: the same content is the same version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.agent import find_agent
from prefactor_server.commands.agent_deployment import new_deployment
from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.commands.environment import registration_environment
from prefactor_server.domain.agent import Agent, check_can_register
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion, SchemaContent
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.pfid import is_pfid
from prefactor_server.domain.runs.agent_instance import AgentInstance, Purpose
from prefactor_server.domain.runs.metadata import InstanceMetadata, new_metadata
from prefactor_server.storage.base import Changes, Needs, Registration, Row, Snapshot


class VersionMetadata(NamedTuple):
    """The description of the agent's release; ``runtime_environment`` is JSON."""

    external_identifier: str | None = None
    name: str | None = None
    description: str | None = None
    runtime_environment: bytes | None = None

    def hash(self) -> bytes:
        """Return a digest of all fields, each preceded by its length to keep them apart."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.external_identifier, self.name, self.description):
            encoded = b"" if part is None else part.encode()
            digest.update(b"%d:%b;" % (-1 if part is None else len(encoded), encoded))
        digest.update(self.runtime_environment or b"")
        return digest.digest()

    def version(
        self, request: Request, version_id: str, schema_version: AgentSchemaVersion
    ) -> AgentVersion:
        """Return a new version with this metadata."""
        return AgentVersion(
            id=version_id,
            account_id=request.account_id,
            agent_id=schema_version.agent_id,
            agent_schema_version_id=schema_version.id,
            external_identifier=self.external_identifier,
            name=self.name,
            description=self.description,
            runtime_environment=self.runtime_environment,
            metadata_hash=self.hash(),
            inserted_at=request.now,
            updated_at=request.now,
        )


class DeclaredSchema(NamedTuple):
    """The span types that a registration declares, checked and encoded."""

    external_identifier: str | None
    content: SchemaContent
    span_type_count: int

    def version(self, request: Request, version_id: str, agent_id: str) -> AgentSchemaVersion:
        """Return a new schema version with this content."""
        return AgentSchemaVersion(
            id=version_id,
            account_id=request.account_id,
            agent_id=agent_id,
            external_identifier=self.external_identifier,
            content_hash=self.content.content_hash,
            span_type_count=self.span_type_count,
            inserted_at=request.now,
            updated_at=request.now,
        )


class NewIds(NamedTuple):
    """The ids of the rows that the registration may have to create."""

    agent: str
    schema_version: str
    version: str
    deployment: str


class RegisterInstance(NamedTuple):
    """Register a run. ``metadata`` and ``schema`` are None if the request has none.

    ``metadata`` is about the agent's version; ``run_metadata`` is the run's own.
    ``empty_schema`` is the schema of an agent that never declared one.
    """

    request: Request
    principal: Principal
    id: str
    agent_ref: str
    environment_id: str | None
    metadata: VersionMetadata | None
    schema: DeclaredSchema | None
    empty_schema: DeclaredSchema
    update_current_version: bool
    purpose: Purpose
    external_identifier: str | None
    new_ids: NewIds
    create_agent: bool
    run_metadata: Mapping[str, str] = {}
    operation: str = "agent_instances.register"

    def needs(self, needs: Needs) -> None:
        """Add everything that the run belongs to, and an existing run with the same id."""
        needs.instances.add(self.id)
        needs.registrations.add(
            Registration(
                agent_ref=self.agent_ref,
                environment_id=self.environment_id,
                content_hash=(self.schema or self.empty_schema).content.content_hash,
                metadata_hash=(self.metadata or VersionMetadata()).hash(),
                external_identifier=self.external_identifier,
            )
        )

    def decide(self, snapshot: Snapshot) -> Decision:
        """Create a pending run, and the missing ones among the rows that it belongs to."""
        environment = registration_environment(snapshot, self.environment_id)
        rows = _RowChanges()
        agent = self._agent(snapshot, rows)
        check_can_register(agent)
        self._check_unused(snapshot, agent)
        deployment = self._deployment(snapshot, agent, environment, rows)
        current = _current_version(snapshot, deployment)
        schema_version = self._schema_version(snapshot, agent, current, rows)
        version = self._version(snapshot, schema_version, current, rows)
        if self.update_current_version:
            self._make_current(agent, deployment, version, rows)
        run = self._run(version, deployment)
        rows.insert(run)
        changes, metadata = rows.changes(), self._metadata(run)
        if metadata is not None:
            changes = replace(changes, inserted=(*changes.inserted, metadata))
        return Decision(changes, Done(run.id, run, metadata=metadata))

    def _agent(self, snapshot: Snapshot, rows: _RowChanges) -> Agent:
        agent = find_agent(snapshot, self.agent_ref)
        if agent is not None:
            return agent
        # Only a server generates PFIDs. An unknown one is a mistake or the id of another account's
        # agent, and not a name that a person chose.
        if not self.create_agent or is_pfid(self.agent_ref):
            raise NotFound(f"Agent {self.agent_ref!r} not found")
        metadata = self.metadata or VersionMetadata()
        created = Agent(
            id=self.new_ids.agent,
            account_id=self.request.account_id,
            name=metadata.name or self.agent_ref,
            description=metadata.description,
            external_identifier=self.agent_ref,
            owner_person_id=None,
            risk_profile_id=None,
            team_id=None,
            retired_at=None,
            inserted_at=self.request.now,
            updated_at=self.request.now,
        )
        rows.insert(created)
        return created

    def _check_unused(self, snapshot: Snapshot, agent: Agent) -> None:
        self._check_free(snapshot.get(AgentInstance, self.id), "id", self.id)
        external = self.external_identifier
        if external is not None:
            named = snapshot.get(AgentInstance, agent.id, "external_identifier", external)
            self._check_free(named, "external identifier", external)

    def _check_free(self, existing: AgentInstance | None, field: str, value: str) -> None:
        if existing is None:
            return
        # A deployment must not learn which ids other deployments use. It gets the same response as
        # for every run that it may not see.
        if not self.principal.can_see(existing.agent_id, existing.environment_id):
            raise NotFound(f"Agent instance {value!r} not found")
        raise InvalidAction(f"An agent instance with the {field} {value!r} already exists")

    def _deployment(
        self, snapshot: Snapshot, agent: Agent, environment: Environment, rows: _RowChanges
    ) -> AgentDeployment:
        found = snapshot.get(AgentDeployment, agent.id, environment.id)
        if found is not None:
            return found
        created = new_deployment(self.request, self.new_ids.deployment, agent.id, environment.id)
        rows.insert(created)
        return created

    def _schema_version(
        self, snapshot: Snapshot, agent: Agent, current: AgentVersion | None, rows: _RowChanges
    ) -> AgentSchemaVersion:
        if self.schema is None and current is not None:
            found = snapshot.get(AgentSchemaVersion, current.agent_schema_version_id)
            if found is not None:
                return found
        declared = self.schema or self.empty_schema
        found = snapshot.get(AgentSchemaVersion, agent.id, declared.content.content_hash)
        if found is not None:
            return found
        created = declared.version(self.request, self.new_ids.schema_version, agent.id)
        rows.insert(created)
        rows.contents.append(declared.content)
        return created

    def _version(
        self,
        snapshot: Snapshot,
        schema_version: AgentSchemaVersion,
        current: AgentVersion | None,
        rows: _RowChanges,
    ) -> AgentVersion:
        if (
            self.metadata is None
            and current is not None
            and current.agent_schema_version_id == schema_version.id
        ):
            return current
        metadata = self.metadata or VersionMetadata()
        agent_id = schema_version.agent_id
        found = snapshot.get(AgentVersion, agent_id, metadata.hash(), schema_version.id)
        if found is not None:
            return found
        created = metadata.version(self.request, self.new_ids.version, schema_version)
        rows.insert(created)
        return created

    def _make_current(
        self, agent: Agent, deployment: AgentDeployment, version: AgentVersion, rows: _RowChanges
    ) -> None:
        now = self.request.now
        if deployment.current_version_id != version.id:
            rows.update(deployment._replace(current_version_id=version.id, updated_at=now))
        metadata = self.metadata or VersionMetadata()
        name = metadata.name or agent.name
        description = metadata.description or agent.description
        if (name, description) != (agent.name, agent.description):
            rows.update(agent._replace(name=name, description=description, updated_at=now))

    def _metadata(self, run: AgentInstance) -> InstanceMetadata | None:
        if not self.run_metadata:
            return None
        return new_metadata(run.account_id, run.id, self.run_metadata, self.request.now)

    def _run(self, version: AgentVersion, deployment: AgentDeployment) -> AgentInstance:
        return AgentInstance(
            id=self.id,
            account_id=self.request.account_id,
            agent_id=version.agent_id,
            agent_version_id=version.id,
            agent_schema_version_id=version.agent_schema_version_id,
            agent_deployment_id=deployment.id,
            environment_id=deployment.environment_id,
            external_identifier=self.external_identifier,
            purpose=self.purpose,
            inserted_at=self.request.now,
            status="pending",
            started_at=None,
            finished_at=None,
            termination_reason=None,
            pending_spans=0,
            active_spans=0,
            complete_spans=0,
            failed_spans=0,
            cancelled_spans=0,
            updated_at=self.request.now,
            last_seen_at=self.request.now,
        )


class _RowChanges:
    """Collects the rows that one registration inserts and updates."""

    def __init__(self) -> None:
        self._inserted: dict[str, Row] = {}
        self._updated: list[Row] = []
        self.contents: list[SchemaContent] = []

    def insert(
        self, row: Agent | AgentDeployment | AgentSchemaVersion | AgentVersion | AgentInstance
    ) -> None:
        self._inserted[row.id] = row

    def update(self, row: Agent | AgentDeployment) -> None:
        if row.id in self._inserted:
            self._inserted[row.id] = row
        else:
            self._updated.append(row)

    def changes(self) -> Changes:
        return Changes(
            inserted=tuple(self._inserted.values()),
            updated=tuple(self._updated),
            contents=tuple(self.contents),
        )


def _current_version(snapshot: Snapshot, deployment: AgentDeployment) -> AgentVersion | None:
    if deployment.current_version_id is None:
        return None
    return snapshot.get(AgentVersion, deployment.current_version_id)
