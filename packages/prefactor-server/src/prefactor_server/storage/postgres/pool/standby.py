"""Reads from a hot standby, for callers whose position it has reached.

A read never waits for a standby that is behind, and never fails because of one. It is repeated on
the primary. A background task checks whether the standby can be used at all, so that no request
tries to connect to one that is unreachable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeVar

import structlog

from prefactor_server.domain.change import MAX_POSITION, current_position
from prefactor_server.domain.errors import SettingError
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.connection import PoolUse, RetryingPool, open_pool
from prefactor_server.storage.postgres.driver import Connection, Pool
from prefactor_server.storage.postgres.failures import is_lost
from prefactor_server.storage.postgres.feed import reached
from prefactor_server.storage.postgres.pool.standby_lag import StandbyLag
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.standby import StandbyUse

T = TypeVar("T")

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "feed.sql")
_MAX_LAG_SECONDS: Final = 5.0
_WATCH_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 3.0
"""How long a check may take, in which the primary and the standby report their positions."""
_CONNECTION_SECONDS: Final = 2.0
"""How long a read waits for a connection to the standby."""
_APPLICATION: Final = {"application_name": "prefactor-server", "jit": "off"}

_log = structlog.get_logger("prefactor_server")


class Standby:
    """A standby of a database. Its pools exist while the standby can be used."""

    def __init__(self, url: str, primary_url: str, *, readers: int) -> None:
        self.use = StandbyUse()
        self._urls = (primary_url, url)
        self._readers = readers
        self._pools: Mapping[PoolUse, Pool] = {}
        self._connections: list[Connection] = []
        self._lag = StandbyLag(_MAX_LAG_SECONDS)
        self._problem: str | None = ""
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start to watch the standby, which need not be reachable.

        Raises:
            SettingError: its URL is invalid.
        """
        await self._check()
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def read(
        self, use: PoolUse, needed: int, work: Callable[[Connection], Awaitable[T]]
    ) -> tuple[T] | None:
        """Return the result of a read that sees ``needed``, or None to read from the primary."""
        pool = self._pools.get(use)
        if pool is None:
            self.use.count("unusable")
            return None
        try:
            async with pool.acquire(timeout=_CONNECTION_SECONDS) as connection:
                # A later statement sees at least as much: a standby never goes back.
                if await connection.fetchval(_SQL["standby.position"]) < needed:
                    self.use.count("behind")
                    return None
                result = await work(connection)
                # A standby that was promoted meanwhile may lack commits of the primary.
                if driver.is_on_standby(connection):
                    self.use.count("standby")
                    return (result,)
                await self._set_problem("it was promoted")
        except Exception as error:  # noqa: BLE001 - the read is repeated on the primary
            if is_lost(error):
                await self._set_problem(_reason(error))
            _log.info("standby_read_failed", reason=_reason(error))
        self.use.count("failed")
        return None

    async def close(self) -> None:
        """Stop watching, and close all connections."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        self._disconnect()
        for pool in self._pools.values():
            await pool.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            await self._check()

    async def _check(self) -> None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                problem = await self._compare()
        except Exception as error:
            self._disconnect()
            if driver.is_bad_address(error) and self._watching is None:
                raise SettingError(f"--read-database is not a usable address: {error}") from error
            problem = _reason(error)
        await self._set_problem(problem)

    async def _compare(self) -> str | None:
        if not self._connections:
            for url in self._urls:
                self._connections.append(await driver.connect(url, server_settings=_APPLICATION))
        primary, standby = self._connections
        identity = _SQL["standby.identity"]
        if await primary.fetchrow(identity) != await standby.fetchrow(identity):
            return "it is a standby of another database"
        latest, replayed = await reached(primary), await reached(standby)
        if not driver.is_on_standby(standby):
            return "it is not a standby: it was promoted, or never was one"
        now = asyncio.get_running_loop().time()
        return self._lag.problem(now, latest, replayed)

    async def _set_problem(self, problem: str | None) -> None:
        """Open the pools if there is no problem. Otherwise discard them, and fail their reads."""
        use, pools = self.use, self._pools
        if problem is None and not pools:
            self._pools = {
                of: await open_pool(
                    self._urls[1], self._readers, of, connect_seconds=_CONNECTION_SECONDS
                )
                for of in (PoolUse.READS, PoolUse.SPAN_READS)
            }
        elif problem is not None and pools:
            self._pools = {}
            for pool in pools.values():
                pool.terminate()
        use.usable, use.lag_seconds = bool(self._pools), self._lag.seconds
        if problem is None and self._problem is not None:
            _log.info("standby_usable")
        elif problem is not None and self._problem in (None, ""):
            _log.warning(
                "standby_unusable", reason=problem, help="Reads go to the primary meanwhile"
            )
        self._problem = problem

    def _disconnect(self) -> None:
        for connection in self._connections:
            driver.discard(connection)
        self._connections.clear()


class StandbyReads:
    """Reads from the standby if the caller's position allows it, otherwise from the primary."""

    def __init__(self, primary: RetryingPool, standby: Standby, use: PoolUse) -> None:
        self._primary = primary
        self._standby = standby
        self._use = use

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """See ``ReadPool.run``."""
        position = current_position()
        if position is None or position.needed is None:
            return await self._primary.run(work)
        if position.needed < MAX_POSITION:
            found = await self._standby.read(self._use, position.needed, work)
            if found is not None:
                return found[0]
        # The rest of the request reads the primary too. The standby may have an older state.
        position.needed = MAX_POSITION

        async def read(connection: Connection) -> tuple[T, int]:
            return await work(connection), await reached(connection)

        result, latest = await self._primary.run(read)
        position.advance(latest)
        return result


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
