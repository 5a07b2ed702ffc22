"""The import of rows that another server exported.

New rows are stored unchanged. A stored row is never changed: an identical row is skipped, and a
different one is reported. A reported run is not imported at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion, SchemaContent
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.environment import DEFAULT, Environment
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanPayload
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.base import Changes, Needs, Registration, Row, Snapshot

_COUNTERS: Final = tuple(one for one in AgentInstance._fields if one.endswith("_spans"))
_OF_RUNS: Final = (AgentSpan, Alert, InstanceMetadata, InstanceQuality)


class ImportedRow(NamedTuple):
    """A row of an import, with the number of its line.

    ``same_documents`` is False if a stored span with its id has other payloads.
    """

    line: int
    kind: str
    row: Any
    payloads: tuple[SpanPayload, ...] = ()
    content: SchemaContent | None = None
    same_documents: bool = True


class Problem(NamedTuple):
    """Why a line was not imported."""

    line: int
    message: str


class CurrentRun(NamedTuple):
    """The run that the current lines belong to; ``accepted`` if its rows are imported."""

    id: str | None = None
    accepted: bool = False


@dataclass(slots=True)
class ImportResult:
    """The result for some rows: the counts of added ones by kind, identical ones, and others."""

    run: CurrentRun
    added: Counter[str] = field(default_factory=Counter[str])
    identical: int = 0
    left_out: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])


class _Rejected(Exception):
    """A row cannot be imported."""


def needs_of(rows: Sequence[ImportedRow], run: CurrentRun) -> Needs:
    """Return the stored rows that imported ones are compared with."""
    needs = Needs()
    if run.id is not None:
        needs.instances.add(run.id)
    for one in rows:
        _NEEDS[type(one.row)](needs, one.row)
    return needs


def import_rows(
    snapshot: Snapshot,
    rows: Sequence[ImportedRow],
    run: CurrentRun,
    *,
    now: int,
    replace_default: bool,
) -> ImportResult:
    """Add the rows that are new, in order; runs are marked as imported now.

    With ``replace_default``, the account has only its default environment, and the imported one
    replaces it.
    """
    snapshot.imported = True
    result = ImportResult(run)
    for one in (_marked(row, now) for row in rows):
        if isinstance(one.row, _OF_RUNS):
            if result.run.id != _run_of(one.row):
                result.problems.append(
                    Problem(one.line, f"{one.kind} {one.row.id!r} does not follow its run")
                )
                continue
            if not result.run.accepted:
                result.left_out += 1
                continue
        try:
            added = _import_row(snapshot, one, replace_default=replace_default)
        except _Rejected as problem:
            result.problems.append(Problem(one.line, str(problem)))
            accepted = False
        else:
            accepted = True
            result.added[one.kind] += added
            result.identical += not added
        if isinstance(one.row, AgentInstance):
            result.run = CurrentRun(one.row.id, accepted)
    return result


def _marked(one: ImportedRow, now: int) -> ImportedRow:
    """Return the row, marked as imported now if it is a run."""
    if not isinstance(one.row, AgentInstance):
        return one
    return one._replace(row=one.row._replace(imported_at=now))


def _run_of(row: Any) -> str:
    run_id: str = row.agent_instance_id if isinstance(row, AgentSpan | Alert) else row.id
    return run_id


def _import_row(snapshot: Snapshot, one: ImportedRow, *, replace_default: bool) -> bool:
    """Add a row; return False if it exists.

    Raises:
        _Rejected: the existing row is different, or a row that it refers to is missing.
    """
    row: Any = one.row
    kind: type[Any] = row.__class__
    updated: Sequence[Row] = ()
    if kind is AgentSpan:
        run: AgentInstance = _require(
            snapshot, AgentInstance, row.agent_instance_id, "agent_instance"
        )
        row = row._replace(agent_id=run.agent_id, environment_id=run.environment_id)
        updated = [run.count_span(row.status, None)]
    found = snapshot.get(kind, row.id)
    if found is not None:
        _check_same(one, row, found)
        return False
    check = _CHECKS.get(kind)
    if check is not None:
        check(snapshot, row)
    deleted: Sequence[Row] = ()
    if kind is Environment and row.is_default:
        default = snapshot.get(Environment, *DEFAULT)
        if default is not None and replace_default and default in snapshot.loaded:
            deleted = [default]
        elif default is not None:
            row = row._replace(is_default=False)
    contents = [] if one.content is None else [one.content]
    snapshot.apply(
        Changes(
            inserted=[row],
            updated=updated,
            deleted=deleted,
            payloads=one.payloads,
            contents=contents,
        )
    )
    return True


def _check_same(one: ImportedRow, row: Any, found: Any) -> None:
    """Reject a row that is stored with other values."""
    ignored: tuple[str, ...] = ()
    if isinstance(row, AgentInstance):
        # Only the server that the agent reports to knows when it was last active.
        ignored = (*_COUNTERS, "abandoned_at", "last_seen_at", "imported_at")
    elif isinstance(row, Environment):
        # Each account decides which one is its default.
        ignored = ("is_default",)
    elif isinstance(row, AgentSpan):
        ignored = ("payload_size", "result_size")
    different = [
        name
        for name, stored, imported in zip(row._fields, found, row, strict=True)
        if stored != imported and name not in ignored
    ]
    if not one.same_documents:
        different.append("payload or result_payload")
    if different:
        names = ", ".join(different)
        raise _Rejected(f"{one.kind} {row.id!r} is already stored and differs in {names}")


def _require(snapshot: Snapshot, kind: type[Any], row_id: str, name: str) -> Any:
    found = snapshot.get(kind, row_id)
    if found is None:
        raise _Rejected(f"belongs to {name} {row_id!r}, which does not exist")
    return found


def _check_agent(snapshot: Snapshot, agent: Agent) -> None:
    if agent.risk_profile_id is not None:
        _require(snapshot, RiskProfile, agent.risk_profile_id, "risk_profile")
    identifier = agent.external_identifier
    if identifier is not None:
        existing = snapshot.get(Agent, "external_identifier", identifier)
        _check_free(existing, f"the external identifier {identifier!r}")


def _check_schema_version(snapshot: Snapshot, version: AgentSchemaVersion) -> None:
    _require(snapshot, Agent, version.agent_id, "agent")
    existing = snapshot.get(AgentSchemaVersion, version.agent_id, version.content_hash)
    _check_free(existing, "the same agent and content")


def _check_version(snapshot: Snapshot, version: AgentVersion) -> None:
    schema = _require(
        snapshot, AgentSchemaVersion, version.agent_schema_version_id, "agent_schema_version"
    )
    _check_agent_of(schema, version.agent_id)
    key = (version.agent_id, version.metadata_hash, version.agent_schema_version_id)
    _check_free(snapshot.get(AgentVersion, *key), "the same agent and content")


def _check_deployment(snapshot: Snapshot, deployment: AgentDeployment) -> None:
    _require(snapshot, Agent, deployment.agent_id, "agent")
    _require(snapshot, Environment, deployment.environment_id, "environment")
    if deployment.current_version_id is not None:
        current = _require(snapshot, AgentVersion, deployment.current_version_id, "agent_version")
        _check_agent_of(current, deployment.agent_id)
    existing = snapshot.get(AgentDeployment, deployment.agent_id, deployment.environment_id)
    _check_free(existing, "the same agent and environment")


def _check_run(snapshot: Snapshot, run: AgentInstance) -> None:
    for kind, row_id, name in (
        (AgentVersion, run.agent_version_id, "agent_version"),
        (AgentSchemaVersion, run.agent_schema_version_id, "agent_schema_version"),
        (AgentDeployment, run.agent_deployment_id, "agent_deployment"),
    ):
        _check_agent_of(_require(snapshot, kind, row_id, name), run.agent_id)
    deployment = snapshot.get(AgentDeployment, run.agent_deployment_id)
    if deployment is not None and deployment.environment_id != run.environment_id:
        raise _Rejected(f"agent_deployment {deployment.id!r} belongs to another environment")
    identifier = run.external_identifier
    if identifier is not None:
        existing = snapshot.get(AgentInstance, run.agent_id, "external_identifier", identifier)
        _check_free(existing, f"the external identifier {identifier!r}")


def _check_alert(snapshot: Snapshot, alert: Alert) -> None:
    run = _require(snapshot, AgentInstance, alert.agent_instance_id, "agent_instance")
    if (alert.agent_id, alert.environment_id) != (run.agent_id, run.environment_id):
        raise _Rejected("its agent or environment is not that of its run")
    if alert.status == "raised":
        existing = snapshot.get(Alert, alert.agent_instance_id, "raised", alert.name)
        _check_free(existing, "the same run and name")


def _check_agent_of(row: Any, agent_id: str) -> None:
    if row.agent_id != agent_id:
        raise _Rejected(f"{row.id!r} belongs to agent {row.agent_id!r}, not to {agent_id!r}")


def _check_free(existing: Any, key: str) -> None:
    if existing is not None:
        raise _Rejected(f"{existing.id!r} is already stored and has {key}")


_CHECKS: Final[Mapping[type[Any], Callable[[Snapshot, Any], None]]] = {
    Agent: _check_agent,
    AgentSchemaVersion: _check_schema_version,
    AgentVersion: _check_version,
    AgentDeployment: _check_deployment,
    AgentInstance: _check_run,
    Alert: _check_alert,
}


def _need_environment(needs: Needs, row: Environment) -> None:
    needs.environments.add(row.id)
    # This loads the default environment as well.
    needs.registrations.add(Registration("", row.id, None, None, None))


def _need_agent(needs: Needs, row: Agent) -> None:
    needs.agents.add(row.id)
    if row.external_identifier is not None:
        needs.agents.add(row.external_identifier)
    if row.risk_profile_id is not None:
        needs.rows.add((RiskProfile, row.risk_profile_id))


def _need_schema_version(needs: Needs, row: AgentSchemaVersion) -> None:
    needs.rows.add((AgentSchemaVersion, row.id))
    needs.registrations.add(Registration(row.agent_id, "", row.content_hash, None, None))


def _need_version(needs: Needs, row: AgentVersion) -> None:
    needs.rows.add((AgentVersion, row.id))
    needs.rows.add((AgentSchemaVersion, row.agent_schema_version_id))
    needs.registrations.add(
        Registration(
            row.agent_id,
            "",
            None,
            row.metadata_hash,
            None,
            agent_schema_version_id=row.agent_schema_version_id,
        )
    )


def _need_deployment(needs: Needs, row: AgentDeployment) -> None:
    needs.rows.add((AgentDeployment, row.id))
    needs.environments.add(row.environment_id)
    if row.current_version_id is not None:
        needs.rows.add((AgentVersion, row.current_version_id))
    needs.registrations.add(Registration(row.agent_id, row.environment_id, None, None, None))


def _need_run(needs: Needs, row: AgentInstance) -> None:
    needs.instances.add(row.id)
    needs.rows.add((AgentVersion, row.agent_version_id))
    needs.rows.add((AgentSchemaVersion, row.agent_schema_version_id))
    needs.rows.add((AgentDeployment, row.agent_deployment_id))
    if row.external_identifier is not None:
        needs.registrations.add(Registration(row.agent_id, "", None, None, row.external_identifier))


def _need_alert(needs: Needs, row: Alert) -> None:
    needs.rows.add((Alert, row.id))
    needs.alerts.add((row.agent_instance_id, row.name))


_NEEDS: Final[Mapping[type[Any], Callable[[Needs, Any], None]]] = {
    Environment: _need_environment,
    RiskProfile: lambda needs, row: needs.rows.add((RiskProfile, row.id)),
    Agent: _need_agent,
    AgentSchemaVersion: _need_schema_version,
    AgentVersion: _need_version,
    AgentDeployment: _need_deployment,
    AgentInstance: _need_run,
    InstanceMetadata: lambda needs, row: needs.rows.add((InstanceMetadata, row.id)),
    InstanceQuality: lambda needs, row: needs.rows.add((InstanceQuality, row.id)),
    AgentSpan: lambda needs, row: needs.spans.add(row.id),
    Alert: _need_alert,
}
