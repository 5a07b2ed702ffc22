"""Executes the statements of an SQL file on connections of pools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from prefactor_server.storage.postgres.connection import ReadPool, RetryingPool
from prefactor_server.storage.sql import load_sql

T = TypeVar("T")


class PostgresStatements:
    """See ``NamedStatements``. A write is repeated if its connection was lost."""

    def __init__(self, file: str, writing: RetryingPool, reading: ReadPool) -> None:
        self._sql: Mapping[str, str] = load_sql("prefactor_server.storage.postgres.sql", file)
        self._writing = writing
        self._reading = reading

    async def rows(
        self, make: Callable[[Iterable[Any]], T], name: str, **values: object
    ) -> list[T]:
        """See ``NamedStatements.rows``."""
        sql, ordered = self._sql[name], values.values()
        records = await self._reading.run(lambda connection: connection.fetch(sql, *ordered))
        return [make(record) for record in records]

    async def value(self, name: str, **values: object) -> Any:
        """See ``NamedStatements.value``."""
        sql, ordered = self._sql[name], values.values()
        return await self._reading.run(lambda connection: connection.fetchval(sql, *ordered))

    async def change(self, name: str, **values: object) -> int:
        """See ``NamedStatements.change``."""
        sql, ordered = self._sql[name], values.values()
        done = await self._writing.run(lambda connection: connection.execute(sql, *ordered))
        return int(done.split()[-1])

    async def change_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """See ``NamedStatements.change_each``; the statement takes an array for each column."""
        sql, arrays = self._sql[name], [list(column) for column in zip(*rows, strict=True)]
        await self._writing.run(lambda connection: connection.execute(sql, *arrays))
