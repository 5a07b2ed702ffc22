"""Loads all rows that a batch needs, and their parents, in one statement.

A statement sees one state of the database, so the rows of a snapshot are consistent. The statement
is assembled from the parts of ``load.sql`` that the batch needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

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
from prefactor_server.storage.base import Needs, Row, Snapshot
from prefactor_server.storage.batch import LimitCount
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.named_statements import VALUE
from prefactor_server.storage.postgres.tables import Table, table_for
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "load.sql")

_OF_REGISTRATIONS: Final[Sequence[tuple[str, type[Row]]]] = (
    ("registrations.agents", Agent),
    ("registrations.environments", Environment),
    ("registrations.deployments", AgentDeployment),
    ("registrations.schema_versions", AgentSchemaVersion),
    ("registrations.versions", AgentVersion),
    ("registrations.instances", AgentInstance),
)

Stored: TypeAlias = dict[tuple[type[Any], tuple[Any, ...]], tuple[Any, int]]
"""The loaded rows, each with its revision, by kind and identity."""


class Loaded(NamedTuple):
    """The snapshots that decisions are made on, by account, and the rows to compare on write."""

    snapshots: Mapping[str, Snapshot]
    stored: Stored


async def load(connection: Connection, needs: Mapping[str, Needs]) -> Loaded:
    """Load the needed rows, in one consistent state."""
    query = query_for(needs)
    rows: dict[str, list[Row]] = {account_id: [] for account_id in needs}
    stored: Stored = {}
    if query.parts:
        found = await connection.fetchrow(query.sql, *query.values)
        for table, records in zip(query.parts, found or (), strict=True):
            _add_rows(table, records, rows, stored)
    return Loaded({account_id: Snapshot(found) for account_id, found in rows.items()}, stored)


def _add_rows(
    table: Table[Any],
    records: Iterable[Sequence[Any]],
    rows: Mapping[str, list[Row]],
    stored: Stored,
) -> None:
    for record in records:
        row = table.row(record)
        rows[row.account_id].append(row)
        if table.versioned:
            stored[table.kind, table.identify(row)] = (row, record[-1])


class Query(NamedTuple):
    """A statement with its values; ``parts`` maps its columns to tables."""

    sql: str
    values: Sequence[Sequence[Any]]
    parts: Sequence[Table[Any]]


def query_for(needs: Mapping[str, Needs]) -> Query:
    """Return the statement that loads the needed rows."""
    query = _Query()
    query.by_id("tokens", ApiToken, _pairs(needs, "tokens"))
    query.by_id("environments", Environment, _pairs(needs, "environments"))
    if agents := _pairs(needs, "agents"):
        accounts, refs = _columns(agents)
        for piece in ("agents.by_id", "agents.by_external_identifier"):
            query.part(piece, Agent, accounts=accounts, refs=refs)
    if keys := [(account, *key) for account, named in needs.items() for key in named.keys]:
        accounts, operations, names = _columns(keys)
        query.part("keys", IdempotencyKey, accounts=accounts, operations=operations, keys=names)
    if spans := _pairs(needs, "spans"):
        accounts, ids = _columns(spans)
        bounds = {"lowest": min(ids), "highest": max(ids)}
        query.cte("with.spans", accounts=accounts, ids=ids, **bounds)
        query.part("spans", AgentSpan)
        query.part("instances.of_spans", AgentInstance)
    query.by_id("instances", AgentInstance, _pairs(needs, "instances"))
    query.registrations(needs)
    query.rows(needs)
    query.by_id("holds", LegalHold, _pairs(needs, "holds"))
    if alerts := [(account, *one) for account, named in needs.items() for one in named.alerts]:
        accounts, runs, names = _columns(alerts)
        query.part("alerts", Alert, accounts=accounts, runs=runs, names=names)
    for limit in dict.fromkeys(one for named in needs.values() for one, _ in named.counts):
        pairs = [
            (a, owner) for a, named in needs.items() for of, owner in named.counts if of == limit
        ]
        query.by_id(f"counts.{limit}", LimitCount, pairs)
    query.by_id("sessions.of_owners", Session, _pairs(needs, "sessions_of"))
    in_use = _pairs(needs, "agents_in_use")
    query.by_id("agents.deployments", AgentDeployment, in_use)
    query.by_id("agents.schema_versions", AgentSchemaVersion, in_use)
    query.by_id("agents.instances", AgentInstance, in_use)
    in_use = _pairs(needs, "environments_in_use")
    query.by_id("environments.deployments", AgentDeployment, in_use)
    in_use = _pairs(needs, "deployments_in_use")
    query.by_id("deployments.tokens", ApiToken, in_use)
    query.by_id("deployments.instances", AgentInstance, in_use)
    if accounts := [account_id for account_id, named in needs.items() if named.account]:
        query.part("accounts", Account, accounts=accounts)
    return query.finished()


class _Query:
    """Builds a statement part by part."""

    def __init__(self) -> None:
        self._ctes: list[str] = []
        self._columns: list[str] = []
        self._values: list[Sequence[Any]] = []
        self._parts: list[Table[Any]] = []

    def cte(self, piece: str, **values: Sequence[Any]) -> None:
        """Add a common table expression."""
        self._ctes.append(self._bound(piece, values))

    def part(self, piece: str, kind: type[Row], **values: Sequence[Any]) -> None:
        """Add rows of a kind, as one column of the result."""
        table = table_for(kind)
        source = self._bound(piece, values).replace("{table}", table.name)
        self._columns.append(f"ARRAY(SELECT {table.record} FROM {source})")  # noqa: S608
        self._parts.append(table)

    def by_id(self, piece: str, kind: type[Row], pairs: Sequence[tuple[str, str]]) -> None:
        """Add rows by account and id, if any are needed."""
        if pairs:
            accounts, ids = _columns(pairs)
            self.part(piece, kind, accounts=accounts, ids=ids)

    def registrations(self, needs: Mapping[str, Needs]) -> None:
        """Add everything that registrations need, if there are any."""
        named = [(account, *one) for account in needs for one in needs[account].registrations]
        if not named:
            return
        accounts, refs, environments, contents, metadata, identifiers, versions = _columns(named)
        self.cte(
            "with.registrations",
            accounts=accounts,
            refs=refs,
            environments=environments,
            contents=contents,
            metadata=metadata,
            identifiers=identifiers,
            versions=versions,
        )
        for piece, kind in _OF_REGISTRATIONS:
            self.part(piece, kind)

    def rows(self, needs: Mapping[str, Needs]) -> None:
        """Add rows of any kinds, if any are needed."""
        for kind in dict.fromkeys(kind for named in needs.values() for kind, _ in named.rows):
            pairs = [
                (account_id, row_id)
                for account_id, named in needs.items()
                for of, row_id in named.rows
                if of is kind
            ]
            self.by_id("rows", kind, pairs)

    def finished(self) -> Query:
        """Return the complete statement."""
        first = f"WITH {', '.join(self._ctes)}\n" if self._ctes else ""
        return Query(first + "SELECT " + ",\n".join(self._columns), self._values, self._parts)

    def _bound(self, piece: str, values: Mapping[str, Sequence[Any]]) -> str:
        first = len(self._values) + 1
        self._values += values.values()
        return _numbered(piece, tuple(values), first)


@cache
def _numbered(piece: str, names: tuple[str, ...], first: int) -> str:
    """Return a part with its values numbered from ``first`` on."""
    # Each part begins with a comment, which must start on a new line.
    numbers = {name: number for number, name in enumerate(names, first)}
    return "\n" + VALUE.sub(lambda match: f"${numbers[match[1]]}", _SQL[piece])


def _pairs(needs: Mapping[str, Needs], field: str) -> list[tuple[str, str]]:
    return [
        (account_id, name) for account_id, named in needs.items() for name in getattr(named, field)
    ]


def _columns(rows: Iterable[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True))
