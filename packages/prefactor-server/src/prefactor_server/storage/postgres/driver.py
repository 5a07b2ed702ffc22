"""A typed subset of asyncpg. No other module imports it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Protocol, cast

import asyncpg  # type: ignore[import-untyped]  # it has no types of its own, hence this module

_asyncpg: Any = asyncpg
_GONE: Final = re.compile("clos(ed|ing)|released")


class Connection(Protocol):
    """A connection to a database."""

    async def execute(self, query: str, *values: object) -> str:
        """Run a statement, or a script if there are no values; return the command tag."""
        ...

    async def fetch(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        """Return all records of a query."""
        ...

    async def fetchrow(self, query: str, *values: object) -> Sequence[Any] | None:
        """Return the first record of a query."""
        ...

    async def fetchval(self, query: str, *values: object) -> Any:
        """Return the first value of the first record."""
        ...

    def cursor(self, query: str, *values: object) -> Awaitable[Cursor]:
        """Return a cursor for the records of a query, within a transaction."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Return a transaction that is committed unless an exception is raised."""
        ...

    def get_server_version(self) -> ServerVersion:
        """Return the server's version."""
        ...

    def get_server_pid(self) -> int:
        """Return the id of the server process of this connection."""
        ...

    def get_settings(self) -> Any:
        """Return the settings that the server reports to clients."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Call a function for each notification on a channel."""
        ...

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        """Call a function when the connection has ended."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...

    def terminate(self) -> None:
        """Close the connection at once, without the protocol's goodbye."""
        ...


class Cursor(Protocol):
    """A cursor over the records of a query."""

    async def fetch(self, n: int) -> Sequence[Sequence[Any]]:
        """Return at most ``n`` of the next records."""
        ...


class ServerVersion(Protocol):
    """The version of a server."""

    @property
    def major(self) -> int:
        """The major version."""
        ...


class Pool(Protocol):
    """A connection pool."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection, waiting at most ``timeout`` seconds for one."""
        ...

    async def close(self) -> None:
        """Wait for running work to finish, then close the connections."""
        ...

    def terminate(self) -> None:
        """Close all connections at once. Running work fails."""
        ...


async def connect(url: str, **options: object) -> Connection:
    """Open a single connection."""
    return cast("Connection", await _asyncpg.connect(url, **options))


async def create_pool(url: str, **options: object) -> Pool:
    """Open a connection pool."""
    return cast("Pool", await _asyncpg.create_pool(url, **options))


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error, or None if it is not the server's."""
    if not isinstance(error, _asyncpg.PostgresError):
        return None
    return cast("str | None", cast("Any", error).sqlstate) or ""


def is_bad_address(error: BaseException) -> bool:
    """Return whether asyncpg rejected the URL of a database."""
    return isinstance(error, _asyncpg.ClientConfigurationError | ValueError)


def discard(connection: Connection) -> None:
    """Make sure that a broken connection is not used again."""
    # If asyncpg has noticed by itself, there is nothing to close.
    with suppress(_asyncpg.InterfaceError):
        connection.terminate()


def is_on_standby(connection: Connection) -> bool:
    """Return whether the server was a hot standby when it answered last, as it reports itself."""
    return cast("object", connection.get_settings().in_hot_standby) == "on"


def is_broken(error: BaseException) -> bool:
    """Return whether asyncpg could not use a connection or pool because it is closing."""
    # The first has no error class, only a message. The second is raised when a server that shuts
    # down has sent something between two queries.
    gone = isinstance(error, _asyncpg.InterfaceError) and _GONE.search(str(error)) is not None
    return gone or isinstance(error, _asyncpg.InternalClientError)
