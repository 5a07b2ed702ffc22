"""Connections to the database: pools, their settings, and retries while it is unreachable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final, Protocol, TypeVar

from prefactor_server.domain.errors import SettingError
from prefactor_server.storage.migration import DatabaseError
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.driver import Connection, Pool
from prefactor_server.storage.postgres.failures import (
    is_conflict,
    is_lost,
    is_read_only,
    refusal,
    unreachable,
)
from prefactor_server.storage.postgres.pool.plan_cache import PlanRenewal

T = TypeVar("T")

_MIN_SERVER_VERSION: Final = 14
_CONNECT_SECONDS: Final = 10
# Longer than the database's own limit, so that it only applies if the network fails.
_ANSWER_SECONDS: Final = 45
# How a pooler refuses the settings of a session, on which locks and kept plans depend.
_PROTOCOL_VIOLATION: Final = "08P01"
_FIRST_DELAY: Final = 0.02
_MAX_DELAY: Final = 0.5

_COMMON_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "prefactor-server",
    "default_transaction_isolation": "read committed",
    "jit": "off",
    # A server that is paused within a transaction would hold back the change feed of all others,
    # and the rows that it has locked.
    "idle_in_transaction_session_timeout": "10s",
}
_READ_SETTINGS: Final[Mapping[str, str]] = {
    **_COMMON_SETTINGS,
    "statement_timeout": "15s",
    "default_transaction_read_only": "on",
}
# One plan for all values. It is cached, and renewed as tables grow.
_GENERIC_PLANS: Final[Mapping[str, str]] = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class PoolUse(Enum):
    """What the connections of a pool are used for."""

    WRITES = "writes"
    READS = "reads"
    SPAN_READS = "reads of spans"

    @property
    def has_generic_plans(self) -> bool:
        """Whether connections cache one plan for each statement."""
        return self is not PoolUse.READS

    @property
    def max_statements(self) -> int:
        """How many prepared statements a connection keeps.

        A kept plan of a read of spans takes PostgreSQL about 30 kB for each partition, and filters
        and sorting give lists a hundred statements.
        """
        return 24 if self is PoolUse.SPAN_READS else 100

    @property
    def settings(self) -> Mapping[str, str]:
        """The session settings of the connections."""
        return _SETTINGS[self]


_SETTINGS: Final[Mapping[PoolUse, Mapping[str, str]]] = {
    # Writes find rows by key.
    PoolUse.WRITES: {**_COMMON_SETTINGS, "statement_timeout": "30s", **_GENERIC_PLANS},
    # Accounts and agents differ too much in size for one plan.
    PoolUse.READS: {**_READ_SETTINGS, "plan_cache_mode": "force_custom_plan"},
    # Spans are found by their ids, their run or their agent, each by its index. Planning a read
    # for every partition takes several times as long as reading.
    PoolUse.SPAN_READS: {**_READ_SETTINGS, **_GENERIC_PLANS},
}


class DatabaseServerError(DatabaseError):
    """The database cannot be used. The message says what to do."""


async def connect(url: str) -> Connection:
    """Open one connection, for setup.

    Raises:
        SettingError: the URL is invalid.
        DatabaseServerError: the server cannot be reached, or cannot be used.
    """
    try:
        connection = await driver.connect(
            url, timeout=_CONNECT_SECONDS, server_settings=dict(_COMMON_SETTINGS)
        )
    except Exception as error:
        if driver.is_bad_address(error):
            raise SettingError(f"--database is not a usable address: {error}") from error
        if driver.sqlstate(error) is None and not is_lost(error):
            raise
        # The URL is left out, because it may contain a password.
        advice = (
            "Give the address of PostgreSQL itself: the server pools its connections, and does not "
            "work through a connection pooler such as PgBouncer."
            if driver.sqlstate(error) == _PROTOCOL_VIOLATION
            else "Check --database, and that PostgreSQL runs."
        )
        raise DatabaseServerError(
            f"Cannot connect to the database: {error or type(error).__name__}. {advice}"
        ) from error
    try:
        await _check_server(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _check_server(connection: Connection) -> None:
    version = connection.get_server_version()
    if version.major < _MIN_SERVER_VERSION:
        raise DatabaseServerError(
            f"PostgreSQL {version.major} is too old: prefactor-server needs {_MIN_SERVER_VERSION} "
            "or newer."
        )
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise DatabaseServerError(
            f"The database's encoding is {encoding}, which cannot store every text: create it with "
            "ENCODING 'UTF8'."
        )


async def open_pool(
    url: str, size: int, use: PoolUse, *, connect_seconds: float = _CONNECT_SECONDS
) -> Pool:
    """Open a pool of at most ``size`` connections, each opened on first use."""
    plans = PlanRenewal(asyncio.get_running_loop().time)
    return await driver.create_pool(
        url,
        min_size=0,
        max_size=size,
        # Connections cache types and plans, so idle ones are kept.
        max_inactive_connection_lifetime=0,
        timeout=connect_seconds,
        command_timeout=_ANSWER_SECONDS,
        statement_cache_size=use.max_statements,
        server_settings=dict(use.settings),
        init=plans.begin if use.has_generic_plans else None,
        setup=plans.before_use if use.has_generic_plans else None,
        reset=_skip_reset,
    )


async def _skip_reset(_connection: Connection) -> None:
    """Do nothing: a reset costs a round trip, and any code that sets session state undoes it."""


class ReadPool(Protocol):
    """A pool of connections to read with."""

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run idempotent work.

        Raises:
            Unavailable: the database cannot be reached, or cannot do it now.
        """
        ...


class RetryingPool:
    """A connection pool that retries while the database is unreachable, for ``retry_seconds``."""

    def __init__(self, pool: Pool, retry_seconds: float) -> None:
        self._pool = pool
        self._retry_seconds = retry_seconds

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Acquire a connection, and discard it if it broke or turned read-only."""
        async with self._pool.acquire() as connection:
            try:
                yield connection
            except Exception as error:
                if is_lost(error) or is_read_only(error):
                    driver.discard(connection)
                raise

    async def back_off(self, attempt: int) -> None:
        """Sleep with exponential backoff and jitter."""
        pause = min(_FIRST_DELAY * 2**attempt, _MAX_DELAY)
        await asyncio.sleep(pause * random.random())  # noqa: S311 - no secret

    def retry_budget(self) -> RetryBudget:
        """Return a new retry budget."""
        return RetryBudget(self, self._retry_seconds)

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run idempotent work, and retry it until it succeeds or the budget is spent.

        Raises:
            Unavailable: the database cannot be reached, or cannot do it now.
        """
        budget = self.retry_budget()
        while True:
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except Exception as error:
                if (refused := refusal(error)) is not None:
                    raise refused from error
                # A standby cancels reads that conflict with replication.
                if not (is_lost(error) or is_conflict(error)):
                    raise
                if not await budget.wait():
                    raise unreachable() from error

    async def close(self) -> None:
        """Wait for running work to finish, then close the connections."""
        await self._pool.close()


class RetryBudget:
    """The time left to retry while the database is unreachable."""

    def __init__(self, pool: RetryingPool, seconds: float) -> None:
        self._pool = pool
        self._until = asyncio.get_running_loop().time() + seconds
        self._attempt = -1

    async def wait(self) -> bool:
        """Sleep before the next attempt; return False once the budget is spent."""
        if asyncio.get_running_loop().time() >= self._until:
            return False
        self._attempt += 1
        await self._pool.back_off(self._attempt)
        return True
