"""asyncpg, as far as it is used here, with types: the one module that imports it."""

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
        """Run a statement, or without values a script; the name of what was done, and how often."""
        ...

    async def fetch(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        """All records of a query."""
        ...

    async def fetchrow(self, query: str, *values: object) -> Sequence[Any] | None:
        """The first record of a query."""
        ...

    async def fetchval(self, query: str, *values: object) -> Any:
        """The first value of the first record."""
        ...

    def cursor(self, query: str, *values: object) -> Awaitable[Cursor]:
        """The records of a query bit by bit, within a transaction."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction, committed unless it is left by an exception."""
        ...

    def get_server_version(self) -> ServerVersion:
        """What the server is."""
        ...

    def get_server_pid(self) -> int:
        """The process that serves the connection."""
        ...

    def get_settings(self) -> Any:
        """The server's settings that it tells everyone."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Have a function called at every notification on a channel."""
        ...

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        """Have a function called when the connection has ended."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...

    def terminate(self) -> None:
        """Hang up without a word: the connection is not to be used again."""
        ...


class Cursor(Protocol):
    """Where reading the records of a query has got to."""

    async def fetch(self, n: int) -> Sequence[Sequence[Any]]:
        """So many of the next records, or those that are left."""
        ...


class ServerVersion(Protocol):
    """The version of a server."""

    @property
    def major(self) -> int:
        """The release."""
        ...


class Pool(Protocol):
    """Connections that are made when they are needed, and kept."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """One of them, for one use."""
        ...

    async def close(self) -> None:
        """Wait for what is under way, then hang up."""
        ...


async def connect(url: str, **options: object) -> Connection:
    """A connection of its own."""
    return cast("Connection", await _asyncpg.connect(url, **options))


async def create_pool(url: str, **options: object) -> Pool:
    """A pool of connections."""
    return cast("Pool", await _asyncpg.create_pool(url, **options))


def sqlstate(error: BaseException) -> str | None:
    """The five characters that say what the server complained of, if it was the server."""
    if not isinstance(error, _asyncpg.PostgresError):
        return None
    return cast("str | None", cast("Any", error).sqlstate) or ""


def is_bad_address(error: BaseException) -> bool:
    """Whether asyncpg could not read the address of a database."""
    return isinstance(error, _asyncpg.ClientConfigurationError | ValueError)


def discard(connection: Connection) -> None:
    """See to it that a connection that broke is not used again."""
    # When asyncpg has noticed by itself, there is nothing left to hang up.
    with suppress(_asyncpg.InterfaceError):
        connection.terminate()


def is_broken(error: BaseException) -> bool:
    """Whether asyncpg could not use a connection, or a pool, because it is closed or closing."""
    # It says the first in words only. The second is how it finds, between two questions, that a
    # server which is about to shut down has spoken out of turn.
    gone = isinstance(error, _asyncpg.InterfaceError) and _GONE.search(str(error)) is not None
    return gone or isinstance(error, _asyncpg.InternalClientError)
