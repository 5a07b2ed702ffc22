"""The PostgreSQL storage: a few connections for writes and a few for reads.

It has no state outside the database, so any number of servers may share one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.storage.base import (
    Changes,
    Decide,
    Needs,
    Snapshot,
)
from prefactor_server.storage.heartbeats import Heartbeats
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
from prefactor_server.storage.postgres.named_statements import PostgresStatements
from prefactor_server.storage.postgres.pool.standby import Standby, StandbyReads
from prefactor_server.storage.postgres.search import PostgresSearch
from prefactor_server.storage.postgres.series import PostgresSeries
from prefactor_server.storage.postgres.transaction import transact
from prefactor_server.storage.postgres.upkeep import maintenance
from prefactor_server.storage.postgres.upkeep.maintenance import PostgresMaintenance
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.run_totals import RunTotals
from prefactor_server.storage.standby import StandbyUse
from prefactor_server.storage.webhooks import WebhookStorage

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_CONCURRENCY: Final = 2
_READERS: Final = 4
# Besides batches, pruning and the follower write.
_OTHER_WRITERS: Final = 2


def _read_method(
    read: Callable[Concatenate[Connection, P], Awaitable[T]], *, of_spans: bool = False
) -> Callable[Concatenate[PostgresStorage, P], CoroutineType[Any, Any, T]]:
    """Return a method of ``Storage`` that does a read on a connection of a pool."""

    async def method(self: PostgresStorage, /, *args: P.args, **kwargs: P.kwargs) -> T:
        pool = self.span_reads if of_spans else self.reads
        try:
            return await pool.run(lambda connection: read(connection, *args, **kwargs))
        except Exception as error:
            if (refused := invalid_value(error)) is not None:
                raise refused from error
            raise

    # The type checkers name the type of a coroutine differently.
    return cast("Callable[Concatenate[PostgresStorage, P], CoroutineType[Any, Any, T]]", method)


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
        self.reads: ReadPool = reading
        self.span_reads: ReadPool = span_reading
        if standby is not None:
            self.reads = StandbyReads(reading, standby, PoolUse.READS)
            self.span_reads = StandbyReads(span_reading, standby, PoolUse.SPAN_READS)
        self.concurrency = concurrency
        self.maintenance = PostgresMaintenance(writing, reading)
        # There may be other servers, so no row is kept in memory.
        none_recent = RecentSpans()
        self.run_totals = RunTotals(
            PostgresStatements("run_totals.sql", writing, self.reads),
            PostgresStatements("run_totals.sql", writing, self.span_reads),
            none_recent,
        )
        self.facets = PostgresFacets(self.reads, self.span_reads)
        self.feed = PostgresFeed(writing, reading, announcements)
        self.series = PostgresSeries(
            PostgresStatements("series.sql", writing, self.reads), none_recent
        )
        self.heartbeats = Heartbeats(PostgresStatements("heartbeats.sql", writing, reading))
        self.search = PostgresSearch(self.reads, self.feed)
        self.webhooks = WebhookStorage(PostgresStatements("webhooks.sql", writing, reading))

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

    accounts = _read_method(read.accounts)
    identifier_counts = _read_method(read.identifier_counts)
    current_versions = _read_method(read.current_versions)
    account = _read_method(read.account)
    token_by_hash = _read_method(read.token_by_hash)
    admin_users_by_email = _read_method(read.admin_users_by_email)
    tokens = _read_method(read.tokens)
    agent = _read_method(read.agent)
    agents = _read_method(read.agents)
    instance_counts = _read_method(read.instance_counts)
    instance = _read_method(read.instance)
    skeleton = _read_method(read.skeleton, of_spans=True)
    instances = _read_method(read.instances)
    span = _read_method(read.span, of_spans=True)
    spans_by_id = _read_method(read.spans_by_id, of_spans=True)
    spans = _read_method(read.spans, of_spans=True)
    span_usage = _read_method(risk.span_usage, of_spans=True)
    risk_profiles_of = _read_method(risk.profiles_of)
    instances_of_agent = _read_method(risk.instances_of_agent)
    agent_types = _read_method(risk.agent_types)
    row = _read_method(read.row)
    rows_by_id = _read_method(read.rows_by_id)
    rows = _read_method(read.rows)
    schema_content = _read_method(read.schema_content)

    async def close(self) -> None:
        """See ``Storage.close``."""
        if self._standby is not None:
            await self._standby.close()
        for pool in self._primary:
            await pool.close()
        await self._writing.close()
