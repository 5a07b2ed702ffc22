"""Loads the rows that a batch needs, one query per table."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.people.session import Session
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.storage.base import Needs, R, Registration, Row, Snapshot
from prefactor_server.storage.batch import LimitCount
from prefactor_server.storage.sqlite.tables import table_for

_IDS: Final = "IN (SELECT value FROM json_each(?))"
# The numbers of rows that limits apply to, by account and owner.
_COUNTS: Final = {
    "raised_alerts": "SELECT count(*) FROM alert WHERE account_id = ?1 AND agent_instance_id = ?2 "
    "AND status = 'raised'",
    "webhooks": "SELECT count(*) FROM webhook WHERE account_id = ?1 AND account_id = ?2 "
    "AND deleted_at IS NULL",
}


def load(connection: sqlite3.Connection, account_id: str, needs: Needs) -> Snapshot:
    """Load the rows of an account that a batch needs, and their parents."""
    loader = _Loader(connection, account_id)
    spans = loader.by_id(AgentSpan, needs.spans)
    # A finish names only its span, so its run is loaded too.
    runs = needs.instances | {span.agent_instance_id for span in spans}
    return Snapshot(
        [
            *loader.keys(needs.keys),
            *loader.by_id(ApiToken, needs.tokens),
            *loader.agents(needs.agents),
            *loader.by_id(Environment, needs.environments),
            *spans,
            *loader.by_id(AgentInstance, runs),
            *loader.registrations(needs.registrations),
            *loader.rows(needs.rows),
            *loader.holds(needs.holds),
            *loader.alerts(needs.alerts),
            *loader.counts(needs.counts),
            *(loader.account() if needs.account else ()),
            *loader.users_of_agents(needs.agents_in_use),
            *loader.users_of_environments(needs.environments_in_use),
            *loader.users_of_deployments(needs.deployments_in_use),
            *loader.sessions(needs.sessions_of),
        ]
    )


def _among(names: Sequence[str]) -> tuple[str, str]:
    """Return the condition that a column has one of some names, and its parameter."""
    # SQLite collects the names of a list in a temporary table, which costs more than the search.
    return ("= ?", names[0]) if len(names) == 1 else (_IDS, json.dumps(names))


class _Loader:
    """The queries of one account."""

    def __init__(self, connection: sqlite3.Connection, account_id: str) -> None:
        self._connection = connection
        self._account_id = account_id

    def by_id(self, kind: type[R], ids: Iterable[str]) -> list[R]:
        return self._named(kind, "id", ids)

    def rows(self, needed: Iterable[tuple[type[Any], str]]) -> list[Row]:
        by_kind: dict[type[Any], list[str]] = defaultdict(list)
        for kind, row_id in needed:
            by_kind[kind].append(row_id)
        return [row for kind, ids in by_kind.items() for row in self.by_id(kind, ids)]

    def holds(self, runs: Iterable[str]) -> list[LegalHold]:
        return self._named(LegalHold, "agent_instance_id", runs)

    def alerts(self, names: Collection[tuple[str, str]]) -> list[Alert]:
        named = "(agent_instance_id, name) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))"
        parameters = (json.dumps(list(names)),)
        if not names:
            return []
        return self._select(Alert, f"status = 'raised' AND {named}", parameters)

    def counts(self, needed: Iterable[tuple[str, str]]) -> list[LimitCount]:
        counts: list[LimitCount] = []
        for limit, owner_id in needed:
            values = (self._account_id, owner_id)
            (number,) = self._connection.execute(_COUNTS[limit], values).fetchone()
            counts.append(LimitCount(self._account_id, limit, owner_id, number))
        return counts

    def agents(self, refs: Iterable[str]) -> list[Agent]:
        by_id = self.by_id(Agent, refs)
        return by_id + self._named(Agent, "external_identifier", refs)

    def keys(self, keys: Iterable[tuple[str, str]]) -> list[IdempotencyKey]:
        by_operation: dict[str, list[str]] = defaultdict(list)
        for operation, key in keys:
            by_operation[operation].append(key)
        found: list[IdempotencyKey] = []
        for operation, named in by_operation.items():
            among, value = _among(named)
            condition = f"operation = ? AND key {among}"
            found += self._select(IdempotencyKey, condition, (operation, value))
        return found

    def account(self) -> list[Account]:
        table = table_for(Account)
        text = f"{table.select} WHERE id = ?"
        return table.rows(self._connection.execute(text, (self._account_id,)))

    def users_of_agents(self, ids: Collection[str]) -> list[Row]:
        latest = "agent_id = ? ORDER BY inserted_at DESC LIMIT 1"
        any_of_them = "agent_id = ? LIMIT 1"
        rows: list[Row] = []
        for one in ids:
            deployments = self._select(AgentDeployment, "agent_id = ?", (one,))
            versions = self._select(AgentSchemaVersion, any_of_them, (one,))
            runs = self._select(AgentInstance, latest, (one,))
            rows += [*deployments, *versions, *runs]
        return rows

    def users_of_environments(self, ids: Iterable[str]) -> list[AgentDeployment]:
        return self._named(AgentDeployment, "environment_id", ids)

    def users_of_deployments(self, ids: Collection[str]) -> list[Row]:
        one_run = "agent_deployment_id = ? LIMIT 1"
        runs = [self._select(AgentInstance, one_run, (one,)) for one in ids]
        tokens = self._named(ApiToken, "agent_deployment_id", ids)
        return [*tokens, *(run for found in runs for run in found)]

    def sessions(self, owners: Iterable[str]) -> list[Session]:
        return self._named(Session, "owner_id", owners)

    def registrations(self, registrations: Collection[Registration]) -> list[Row]:
        if not registrations:
            return []
        agents = self.agents({one.agent_ref for one in registrations})
        environments = self._environments(registrations)
        rows: list[Row] = [*agents, *environments]
        metadata: set[tuple[str, bytes]] = set()
        for one in registrations:
            agent = _first(agents, one.agent_ref)
            if agent is not None:
                rows += self._under_agent(agent, environments, one)
                if one.metadata_hash is not None:
                    metadata.add((agent.id, one.metadata_hash))
        return rows + self._versions(metadata, rows)

    def _environments(self, registrations: Collection[Registration]) -> list[Environment]:
        named = {one.environment_id for one in registrations if one.environment_id is not None}
        default = self._select(Environment, "is_default = 1", ())
        return default + self.by_id(Environment, named)

    def _under_agent(
        self, agent: Agent, environments: Sequence[Environment], one: Registration
    ) -> list[Row]:
        rows: list[Row] = []
        for environment in environments:
            if one.environment_id in (None, environment.id):
                rows += self._deployment(agent, environment)
        if one.content_hash is not None:
            rows += self._schema_versions(agent, one.content_hash)
        if one.agent_schema_version_id is not None:
            named = self.by_id(AgentSchemaVersion, [one.agent_schema_version_id])
            rows += [version for version in named if version.agent_id == agent.id]
        if one.external_identifier is not None:
            rows += self._instances(agent, one.external_identifier)
        return rows

    def _deployment(self, agent: Agent, environment: Environment) -> list[Row]:
        found: list[AgentDeployment] = self._select(
            AgentDeployment,
            "agent_id = ? AND environment_id = ?",
            (agent.id, environment.id),
        )
        current = [one.current_version_id for one in found if one.current_version_id is not None]
        versions = self.by_id(AgentVersion, current)
        schema_versions = self.by_id(
            AgentSchemaVersion, [one.agent_schema_version_id for one in versions]
        )
        return [*found, *versions, *schema_versions]

    def _schema_versions(self, agent: Agent, content_hash: bytes) -> list[AgentSchemaVersion]:
        return self._select(
            AgentSchemaVersion,
            "agent_id = ? AND content_hash = ?",
            (agent.id, content_hash),
        )

    def _versions(
        self, metadata: Iterable[tuple[str, bytes]], rows: Sequence[Row]
    ) -> list[AgentVersion]:
        # Only versions of the schema versions that a registration may use are needed. Which one it
        # uses can depend on earlier registrations in the batch.
        schema_versions: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if isinstance(row, AgentSchemaVersion):
                schema_versions[row.agent_id].append(row.id)
        found: list[AgentVersion] = []
        for agent_id, metadata_hash in metadata:
            found += self._select(
                AgentVersion,
                f"agent_id = ? AND metadata_hash = ? AND agent_schema_version_id {_IDS}",
                (agent_id, metadata_hash, json.dumps(schema_versions[agent_id])),
            )
        return found

    def _instances(self, agent: Agent, external_identifier: str) -> list[AgentInstance]:
        return self._select(
            AgentInstance,
            "agent_id = ? AND external_identifier = ?",
            (agent.id, external_identifier),
        )

    def _named(self, kind: type[R], column: str, names: Iterable[str]) -> list[R]:
        listed = list(names)
        if not listed:
            return []
        among, value = _among(listed)
        return self._select(kind, f"{column} {among}", (value,))

    def _select(self, kind: type[R], condition: str, parameters: tuple[Any, ...]) -> list[R]:
        table = table_for(kind)
        text = f"{table.select} WHERE account_id = ? AND {condition}"
        return table.rows(self._connection.execute(text, (self._account_id, *parameters)))


def _first(agents: Sequence[Agent], ref: str) -> Agent | None:
    # An id takes precedence over an external identifier, as in the decision.
    matching = [agent for agent in agents if agent.id == ref]
    matching += [agent for agent in agents if agent.external_identifier == ref]
    return matching[0] if matching else None
