"""The reads of an export: runs and the rows that they depend on, in slices of bounded size.

A row precedes the rows that refer to it, which is the order that an import needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.listing import Cursor, Filter, Listing
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.base import R, Row, SpanRecord, Storage

SLICE_BYTES: Final = 1024 * 1024
"""The most bytes of payloads that are read at once. A larger span is a slice by itself."""

SLICE_SPANS: Final = 200
"""The most spans that are read at once, because encoding a slice delays other requests."""

_SPANS: Final = 1000
_ROWS: Final = 100


class SchemaVersionRecord(NamedTuple):
    """A schema version with its declarations as JSON."""

    version: AgentSchemaVersion
    document: bytes


class RunOrigin(NamedTuple):
    """A run with the names of its agent, its version and its environment."""

    run: AgentInstance
    agent: str
    agent_identifier: str | None
    version: str | None
    environment: str


ExportedRow: TypeAlias = Row | SpanRecord | SchemaVersionRecord


class ExportQueries:
    """Reads the rows of an export. The caller must be allowed to see the run or the account."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def around(self, run: AgentInstance, *, whole_account: bool) -> Sequence[ExportedRow]:
        """Return the rows that a run belongs to.

        The risk profile of its agent belongs to the account, so it needs ``whole_account``.
        """
        account_id = run.account_id
        environments = await self._by_id(Environment, account_id, [run.environment_id])
        deployments = await self._by_id(AgentDeployment, account_id, [run.agent_deployment_id])
        current = [one.current_version_id for one in deployments if one.current_version_id]
        version_ids = sorted({run.agent_version_id, *current})
        versions = await self._by_id(AgentVersion, account_id, version_ids)
        schema_ids = sorted(
            {run.agent_schema_version_id, *(one.agent_schema_version_id for one in versions)}
        )
        schemas = await self._by_id(AgentSchemaVersion, account_id, schema_ids)
        agents = await self._by_id(Agent, account_id, [run.agent_id])
        profiles: Sequence[RiskProfile] = ()
        if whole_account:
            profiles = await self._profiles(account_id, agents)
        else:
            agents = [agent._replace(risk_profile_id=None) for agent in agents]
        return [
            *environments,
            *profiles,
            *agents,
            *[await self._with_document(one) for one in schemas],
            *versions,
            *deployments,
        ]

    async def origin(self, run: AgentInstance) -> RunOrigin:
        """Return a run with the names of its agent, its version and its environment."""
        agent = await self._storage.row(Agent, run.account_id, run.agent_id)
        version = await self._storage.row(AgentVersion, run.account_id, run.agent_version_id)
        environment = await self._storage.row(Environment, run.account_id, run.environment_id)
        return RunOrigin(
            run,
            agent.name if agent else run.agent_id,
            agent.external_identifier if agent else None,
            (version.external_identifier or version.name) if version else None,
            environment.name if environment else run.environment_id,
        )

    async def of_account(
        self, account_id: str, agent_id: str | None
    ) -> AsyncIterator[Sequence[ExportedRow]]:
        """Yield the rows that the runs of an account, or of one of its agents, belong to."""
        if agent_id is None:
            for kind in (Environment, RiskProfile):
                async for rows in self._pages(kind, account_id):
                    yield rows
            of_agent: tuple[Filter, ...] = ()
            agents = self._agents(account_id)
        else:
            of_agent = (Filter("agent_id", "=", agent_id),)
            async for deployed in self._pages(AgentDeployment, account_id, of_agent):
                ids = sorted({one.environment_id for one in deployed})
                yield await self._by_id(Environment, account_id, ids)
            one = await self._by_id(Agent, account_id, [agent_id])
            yield await self._profiles(account_id, one)
            agents = _only(one)
        async for found in agents:
            yield found
        async for schemas in self._pages(AgentSchemaVersion, account_id, of_agent):
            for schema in schemas:
                yield [await self._with_document(schema)]
        async for versions in self._pages(AgentVersion, account_id, of_agent):
            yield versions
        async for deployments in self._pages(AgentDeployment, account_id, of_agent):
            yield deployments

    async def runs(
        self, account_id: str, filters: tuple[Filter, ...], after: str | None
    ) -> AsyncIterator[AgentInstance]:
        """Yield the runs after an id, in order of id."""
        async for page in self._pages(AgentInstance, account_id, filters, after=after):
            for run in page:
                yield run

    async def of_run(
        self, run: AgentInstance, *, with_alerts: bool
    ) -> AsyncIterator[Sequence[ExportedRow]]:
        """Yield a run and the rows that belong to it."""
        account_id, of_run = run.account_id, (Filter("agent_instance_id", "=", run.id),)
        metadata = await self._storage.row(InstanceMetadata, account_id, run.id)
        quality = await self._storage.row(InstanceQuality, account_id, run.id)
        yield [row for row in (run, metadata, quality) if row is not None]
        async for spans in self.spans(account_id, run.id):
            yield spans
        if with_alerts:
            async for alerts in self._pages(Alert, account_id, of_run):
                yield alerts

    async def spans(self, account_id: str, run_id: str) -> AsyncIterator[Sequence[SpanRecord]]:
        """Yield the spans of a run with their payloads, in order of id."""
        of_run = (Filter("agent_instance_id", "=", run_id),)
        async for page in self._pages(AgentSpan, account_id, of_run, _SPANS):
            for ids in _slices(page):
                found = await self._storage.spans_by_id(account_id, ids)
                yield sorted(found, key=lambda record: record.span.id)

    async def run_count(self, account_id: str, filters: tuple[Filter, ...]) -> int | None:
        """Return the number of runs, or None if there are too many to count."""
        page = await self._storage.instances(account_id, Listing(filters, page_size=1))
        return page.total if page.total_is_exact else None

    async def _agents(self, account_id: str) -> AsyncIterator[Sequence[Agent]]:
        async for rows in self._pages(Agent, account_id):
            yield rows

    async def _profiles(self, account_id: str, agents: Iterable[Agent]) -> Sequence[RiskProfile]:
        ids = [agent.risk_profile_id for agent in agents if agent.risk_profile_id is not None]
        return await self._by_id(RiskProfile, account_id, ids)

    async def _with_document(self, version: AgentSchemaVersion) -> SchemaVersionRecord:
        document = await self._storage.schema_content(version.account_id, version.id)
        return SchemaVersionRecord(version, document or b"{}")

    async def _by_id(self, kind: type[R], account_id: str, ids: Sequence[str]) -> list[R]:
        found = await self._storage.rows_by_id(kind, account_id, ids)
        return sorted(found, key=lambda row: str(row.lookup_keys()[0][0]))

    async def _pages(
        self,
        kind: type[R],
        account_id: str,
        filters: tuple[Filter, ...] = (),
        page_size: int = _ROWS,
        after: str | None = None,
    ) -> AsyncIterator[Sequence[R]]:
        """Yield the rows of a kind in order of id, page by page."""
        begin = None if after is None else Cursor(after, after, 0)
        listing = Listing(filters, page_size=page_size, after=begin)
        while True:
            page = await self._storage.rows(kind, account_id, listing)
            if page.rows:
                yield page.rows
            if page.next is None:
                return
            listing = listing._replace(after=page.next)


def _slices(spans: Iterable[AgentSpan]) -> Iterator[list[str]]:
    """Yield the ids of spans in groups, bounded by ``SLICE_SPANS`` and ``SLICE_BYTES``."""
    ids: list[str] = []
    total = 0
    for span in spans:
        size = span.payload_size + span.result_size
        if len(ids) == SLICE_SPANS or (ids and total + size > SLICE_BYTES):
            yield ids
            ids, total = [], 0
        ids.append(span.id)
        total += size
    if ids:
        yield ids


async def _only(agents: Sequence[Agent]) -> AsyncIterator[Sequence[Agent]]:
    yield agents
