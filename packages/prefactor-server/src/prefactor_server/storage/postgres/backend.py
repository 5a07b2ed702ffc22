"""The PostgreSQL storage: a few connections for writes and a few for reads.

It has no state outside the database, so any number of servers may share one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Concatenate, Final, ParamSpec, TypeVar

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import AgentTypes
from prefactor_server.domain.runs.agent_instance import AgentInstance, InstanceCounts
from prefactor_server.domain.runs.agent_instance_skeleton import SpanOutline
from prefactor_server.storage.base import (
    AgentRecord,
    Changes,
    CurrentVersion,
    Decide,
    Needs,
    R,
    Row,
    Snapshot,
    SpanRecord,
    SpanUsage,
)
from prefactor_server.storage.postgres import read, risk
from prefactor_server.storage.postgres.announcements import Announcements
from prefactor_server.storage.postgres.connection import (
    PoolUse,
    ReadPool,
    RetryingPool,
    connect,
    open_pool,
)
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.facets import PostgresFacets
from prefactor_server.storage.postgres.failures import invalid_value
from prefactor_server.storage.postgres.feed import PostgresFeed
from prefactor_server.storage.postgres.migrate import migrate
from prefactor_server.storage.postgres.pool.standby import Standby, StandbyReads
from prefactor_server.storage.postgres.run_totals import PostgresRunTotals
from prefactor_server.storage.postgres.search import PostgresSearch
from prefactor_server.storage.postgres.series import PostgresSeries
from prefactor_server.storage.postgres.transaction import transact
from prefactor_server.storage.postgres.upkeep import maintenance
from prefactor_server.storage.postgres.upkeep.heartbeats import PostgresHeartbeats
from prefactor_server.storage.postgres.upkeep.maintenance import PostgresMaintenance
from prefactor_server.storage.postgres.webhooks import PostgresWebhooks
from prefactor_server.storage.standby import StandbyUse

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_CONCURRENCY: Final = 2
_READERS: Final = 4
# Besides batches, pruning and the follower write.
_OTHER_WRITERS: Final = 2


class PostgresStorage:
    """One database, which other servers may share.

    ``concurrency`` is the number of batches to write concurrently.
    """

    def __init__(
        self,
        writing: RetryingPool,
        reading: RetryingPool,
        span_reading: RetryingPool,
        announcements: Announcements,
        *,
        concurrency: int,
        standby: Standby | None = None,
    ) -> None:
        self._writing = writing
        self._primary = (reading, span_reading)
        self._standby = standby
        # Reads for callers may use the standby. Decisions and derived rows need the primary.
        reads: ReadPool = reading
        self._span_reading: ReadPool = span_reading
        if standby is not None:
            reads = StandbyReads(reading, standby, PoolUse.READS)
            self._span_reading = StandbyReads(span_reading, standby, PoolUse.SPAN_READS)
        self._reading = reads
        self.concurrency = concurrency
        self.maintenance = PostgresMaintenance(writing, reading)
        self.run_totals = PostgresRunTotals(reads, self._span_reading)
        self.facets = PostgresFacets(reads, self._span_reading)
        self.feed = PostgresFeed(writing, reading, announcements)
        self.series = PostgresSeries(reads)
        self.heartbeats = PostgresHeartbeats(writing, reading)
        self.search = PostgresSearch(reads, self.feed)
        self.webhooks = PostgresWebhooks(writing, reading)

    @property
    def standby(self) -> StandbyUse | None:
        """See ``Storage.standby``."""
        return None if self._standby is None else self._standby.use

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        readers: int = _READERS,
        retry_seconds: float = 10,
        read_url: str = "",
    ) -> PostgresStorage:
        """Connect to a database and bring its schema up to date.

        Args:
            url: ``postgresql://user:password@host:port/database``, or anything that libpq accepts.
            concurrency: how many batches may be written at a time.
            readers: how many connections read spans, and how many read everything else.
            retry_seconds: how long to retry while the database is unreachable.
            read_url: a hot standby of the database to read from; empty for none.

        Raises:
            SettingError: a URL is invalid.
            DatabaseServerError: the server cannot be reached, or cannot be used.
            MigrationError: the database was migrated by a newer server.
        """
        connection = await connect(url)
        try:
            await migrate(connection)
        finally:
            await connection.close()
        standby = None
        if read_url:
            standby = Standby(read_url, url, readers=readers)
            await standby.open()
        writing = await open_pool(url, concurrency + _OTHER_WRITERS, PoolUse.WRITES)
        reading = await open_pool(url, readers, PoolUse.READS)
        span_reading = await open_pool(url, readers, PoolUse.SPAN_READS)
        return cls(
            RetryingPool(writing, retry_seconds),
            RetryingPool(reading, retry_seconds),
            RetryingPool(span_reading, retry_seconds),
            Announcements(url),
            concurrency=concurrency,
            standby=standby,
        )

    async def transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
        """See ``Storage.transact``; ``decide`` is called again after a conflict."""
        return await transact(self._writing, needs, decide)

    async def create_account(
        self, account: Account, environment: Environment, token: ApiToken, audit: AuditEntry
    ) -> bool:
        """See ``Storage.create_account``; of several servers that try, one succeeds."""
        snapshot = Snapshot()
        snapshot.apply(Changes(inserted=(environment, token), audit=(audit,)))
        return await self._writing.run(
            lambda connection: maintenance.create_account(connection, account, snapshot)
        )

    async def forget_keys(self, before: int, slice_size: int) -> int:
        """See ``Storage.forget_keys``; also deletes old batch receipts."""
        return await self._writing.run(
            lambda connection: maintenance.forget_keys(connection, before, slice_size)
        )

    async def accounts(self) -> Sequence[Account]:
        """See ``Storage.accounts``."""
        return await self._read(read.accounts)

    async def identifier_counts(
        self, kind: type[Row], account_id: str, agent_id: str, identifiers: Collection[str]
    ) -> Mapping[str, int]:
        """See ``Storage.identifier_counts``."""
        return await self._read(read.identifier_counts, kind, account_id, agent_id, identifiers)

    async def current_versions(self, account_id: str, agent_id: str) -> Sequence[CurrentVersion]:
        """See ``Storage.current_versions``."""
        return await self._read(read.current_versions, account_id, agent_id)

    async def account(self, account_id: str) -> Account | None:
        """See ``Storage.account``."""
        return await self._read(read.account, account_id)

    async def token_by_hash(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """See ``Storage.token_by_hash``."""
        return await self._read(read.token_by_hash, token_hash)

    async def admin_users_by_email(self, email: str) -> Sequence[AdminUser]:
        """See ``Storage.admin_users_by_email``."""
        return await self._read(read.admin_users_by_email, email)

    async def tokens(self, account_id: str) -> Sequence[ApiToken]:
        """See ``Storage.tokens``."""
        return await self._read(read.tokens, account_id)

    async def agent(self, account_id: str, ref: str) -> AgentRecord | None:
        """See ``Storage.agent``."""
        return await self._read(read.agent, account_id, ref)

    async def agents(self, account_id: str, listing: Listing) -> Page[AgentRecord]:
        """See ``Storage.agents``."""
        return await self._read(read.agents, account_id, listing)

    async def instance_counts(
        self, account_id: str, agent_id: str, environment_id: str | None
    ) -> InstanceCounts:
        """See ``Storage.instance_counts``."""
        return await self._read(read.instance_counts, account_id, agent_id, environment_id)

    async def instance(self, account_id: str, instance_id: str) -> AgentInstance | None:
        """See ``Storage.instance``."""
        return await self._read(read.instance, account_id, instance_id)

    async def skeleton(self, account_id: str, instance_id: str) -> Sequence[SpanOutline]:
        """See ``Storage.skeleton``."""
        return await self._read_spans(read.skeleton, account_id, instance_id)

    async def instances(self, account_id: str, listing: Listing) -> Page[AgentInstance]:
        """See ``Storage.instances``."""
        return await self._read(read.instances, account_id, listing)

    async def span(self, account_id: str, span_id: str) -> SpanRecord | None:
        """See ``Storage.span``."""
        return await self._read_spans(read.span, account_id, span_id)

    async def spans_by_id(self, account_id: str, ids: Collection[str]) -> Sequence[SpanRecord]:
        """See ``Storage.spans_by_id``."""
        return await self._read_spans(read.spans_by_id, account_id, ids)

    async def spans(self, account_id: str, listing: Listing) -> Page[SpanRecord]:
        """See ``Storage.spans``."""
        return await self._read_spans(read.spans, account_id, listing)

    async def span_usage(self, account_id: str, run_ids: Sequence[str]) -> Sequence[SpanUsage]:
        """See ``Storage.span_usage``."""
        return await self._read_spans(risk.span_usage, account_id, run_ids)

    async def risk_profiles_of(
        self, account_id: str, agent_ids: Sequence[str]
    ) -> Mapping[str, RiskProfile]:
        """See ``Storage.risk_profiles_of``."""
        return await self._read(risk.profiles_of, account_id, agent_ids)

    async def instances_of_agent(
        self, account_id: str, agent_id: str, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """See ``Storage.instances_of_agent``."""
        return await self._read(risk.instances_of_agent, account_id, agent_id, after, limit)

    async def agent_types(
        self, account_id: str, agent_id: str, environment_id: str | None
    ) -> AgentTypes:
        """See ``Storage.agent_types``."""
        return await self._read(risk.agent_types, account_id, agent_id, environment_id)

    async def row(self, kind: type[R], account_id: str, row_id: str) -> R | None:
        """See ``Storage.row``."""
        return await self._read(read.row, kind, account_id, row_id)

    async def rows_by_id(self, kind: type[R], account_id: str, ids: Collection[str]) -> Sequence[R]:
        """See ``Storage.rows_by_id``."""
        return await self._read(read.rows_by_id, kind, account_id, ids)

    async def rows(self, kind: type[R], account_id: str, listing: Listing) -> Page[R]:
        """See ``Storage.rows``."""
        return await self._read(read.rows, kind, account_id, listing)

    async def schema_content(self, account_id: str, schema_version_id: str) -> bytes | None:
        """See ``Storage.schema_content``."""
        return await self._read(read.schema_content, account_id, schema_version_id)

    async def close(self) -> None:
        """See ``Storage.close``."""
        if self._standby is not None:
            await self._standby.close()
        for pool in self._primary:
            await pool.close()
        await self._writing.close()

    async def _read(
        self,
        work: Callable[Concatenate[Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return await _run(self._reading, lambda connection: work(connection, *args, **kwargs))

    async def _read_spans(
        self,
        work: Callable[Concatenate[Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return await _run(self._span_reading, lambda connection: work(connection, *args, **kwargs))


async def _run(pool: ReadPool, work: Callable[[Connection], Awaitable[T]]) -> T:
    try:
        return await pool.run(work)
    except Exception as error:
        if (refused := invalid_value(error)) is not None:
            raise refused from error
        raise
