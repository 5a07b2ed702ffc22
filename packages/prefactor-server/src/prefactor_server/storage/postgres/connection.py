"""Connecting to the database: pools, their settings, and waiting for a server that is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from prefactor_server.domain.errors import SettingError
from prefactor_server.storage.migration import DatabaseError
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.driver import Connection, Pool
from prefactor_server.storage.postgres.failures import (
    is_lost,
    is_raced,
    is_read_only,
    refusal,
    unreachable,
)
from prefactor_server.storage.postgres.plan_cache import PlanRenewal

T = TypeVar("T")

_OLDEST_SERVER: Final = 14
_CONNECT_SECONDS: Final = 10
# Longer than the server's own limit: it is this server that gives up when the network does.
_ANSWER_SECONDS: Final = 45
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5

_EVERYWHERE: Final[Mapping[str, str]] = {
    "application_name": "prefactor-server",
    "default_transaction_isolation": "read committed",
    "jit": "off",
}
# Whatever is written is found by its key, which leaves one kind of plan to choose; it is kept, and
# made anew as the tables grow.
_WRITING: Final[Mapping[str, str]] = {
    **_EVERYWHERE,
    "statement_timeout": "30s",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_READING: Final[Mapping[str, str]] = {
    **_EVERYWHERE,
    "statement_timeout": "15s",
    "default_transaction_read_only": "on",
    # Accounts and runs differ too much in size for one plan to fit all.
    "plan_cache_mode": "force_custom_plan",
}


class DatabaseServerError(DatabaseError):
    """The database cannot be used; the message says what to do."""


async def connect(url: str) -> Connection:
    """One connection, for setting up.

    Raises:
        SettingError: the address cannot be read.
        DatabaseServerError: the server cannot be reached, or is none that we can use.
    """
    try:
        connection = await driver.connect(
            url, timeout=_CONNECT_SECONDS, server_settings=dict(_EVERYWHERE)
        )
    except Exception as error:
        if driver.is_bad_address(error):
            raise SettingError(f"--database is not a usable address: {error}") from error
        if driver.sqlstate(error) is None and not is_lost(error):
            raise
        # The address stays out of it: it may hold a password.
        raise DatabaseServerError(
            f"Cannot connect to the database: {error or type(error).__name__}. Check --database, "
            "and that PostgreSQL runs."
        ) from error
    try:
        await _check_server(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _check_server(connection: Connection) -> None:
    version = connection.get_server_version()
    if version.major < _OLDEST_SERVER:
        raise DatabaseServerError(
            f"PostgreSQL {version.major} is too old: prefactor-server needs {_OLDEST_SERVER} or "
            "newer."
        )
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise DatabaseServerError(
            f"The database's encoding is {encoding}, in which not every text can be kept: create "
            "it with ENCODING 'UTF8'."
        )


async def open_pool(url: str, size: int, *, writes: bool) -> Pool:
    """Connections for one purpose, up to a number, made when they are first needed."""
    plans = PlanRenewal(asyncio.get_running_loop().time)
    return await driver.create_pool(
        url,
        min_size=0,
        max_size=size,
        # A connection learns types and plans; one that was idle is as good as new.
        max_inactive_connection_lifetime=0,
        timeout=_CONNECT_SECONDS,
        command_timeout=_ANSWER_SECONDS,
        server_settings=dict(_WRITING if writes else _READING),
        init=plans.begin if writes else None,
        setup=plans.before_use if writes else None,
        reset=_leave_as_it_is,
    )


async def _leave_as_it_is(_connection: Connection) -> None:
    """Nothing is ever set on a connection after it was made: resetting it costs a round trip."""


class Link:
    """A pool that waits, within limits, for a database that is away: it may be starting again.

    ``patience`` is for how many seconds.
    """

    def __init__(
        self,
        pool: Pool,
        patience: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool
        self._patience = patience
        self._jitter = jitter

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection for one use; one that broke, or takes no writes, is not used again."""
        async with self._pool.acquire() as connection:
            try:
                yield connection
            except Exception as error:
                if is_lost(error) or is_read_only(error):
                    driver.discard(connection)
                raise

    async def pause(self, attempt: int) -> None:
        """Wait a little, longer with each attempt, and never as long as the others do."""
        pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
        await asyncio.sleep(pause * self._jitter())

    def patience(self) -> Patience:
        """A fresh allowance of waiting."""
        return Patience(self, self._patience)

    async def repeatedly(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do what can be done again without harm, until it has been done.

        Raises:
            Unavailable: the database cannot be reached, or cannot do it now.
        """
        patience = self.patience()
        while True:
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except Exception as error:
                if (refused := refusal(error)) is not None:
                    raise refused from error
                # A standby cancels reads that keep it from following the primary server.
                if not (is_lost(error) or is_raced(error)):
                    raise
                if not await patience.wait():
                    raise unreachable() from error

    async def close(self) -> None:
        """Let what is under way finish, then hang up."""
        await self._pool.close()


class Patience:
    """How much longer to wait for a database that is away."""

    def __init__(self, link: Link, seconds: float) -> None:
        self._link = link
        self._until = asyncio.get_running_loop().time() + seconds
        self._attempt = -1

    async def wait(self) -> bool:
        """Pause before another attempt; False when there was enough of them."""
        if asyncio.get_running_loop().time() >= self._until:
            return False
        self._attempt += 1
        await self._link.pause(self._attempt)
        return True
