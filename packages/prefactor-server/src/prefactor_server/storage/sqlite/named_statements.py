"""Executes the statements of an SQL file on the storage's threads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from prefactor_server.storage.sql import load_sql

T = TypeVar("T")


class RunOnThread(Protocol):
    """Runs work on one of the storage's threads, with a connection."""

    def __call__(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Return the result of the work."""
        ...


class SqliteStatements:
    """See ``NamedStatements``; a list is passed as JSON.

    ``on_writer`` runs work on the writer thread, inside a transaction; ``on_reader`` on a reader
    thread.
    """

    def __init__(self, file: str, on_writer: RunOnThread, on_reader: RunOnThread) -> None:
        self.sql: Mapping[str, str] = load_sql("prefactor_server.storage.sqlite.sql", file)
        self.on_reader = on_reader
        self._on_writer = on_writer

    async def rows(
        self, make: Callable[[Iterable[Any]], T], name: str, **values: object
    ) -> list[T]:
        """See ``NamedStatements.rows``."""
        sql, named = self.sql[name], _named(values)
        return await self.on_reader(
            lambda connection: [make(record) for record in connection.execute(sql, named)]
        )

    async def value(self, name: str, **values: object) -> Any:
        """See ``NamedStatements.value``."""
        ((value,),) = await self.rows(tuple, name, **values)
        return value

    async def change(self, name: str, **values: object) -> int:
        """See ``NamedStatements.change``."""
        sql, named = self.sql[name], _named(values)
        return await self._on_writer(lambda connection: connection.execute(sql, named).rowcount)

    async def change_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """See ``NamedStatements.change_each``."""
        sql = self.sql[name]
        await self._on_writer(lambda connection: connection.executemany(sql, rows))


def _named(values: Mapping[str, object]) -> Mapping[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
