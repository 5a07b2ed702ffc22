"""Executes the statements of an SQL file on connections of pools."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from prefactor_server.storage.postgres.connection import ReadPool, RetryingPool
from prefactor_server.storage.sql import load_sql

T = TypeVar("T")

VALUE: Final = re.compile(r"(?<!:):([a-z_]+)")
"""The name of a value, such as ``:account_id``. ``::text`` is a cast."""


class NumberedStatement(NamedTuple):
    """A statement as PostgreSQL takes it: its values have numbers, in the order of ``names``."""

    sql: str
    names: Sequence[str]


def with_numbers(statement: str) -> NumberedStatement:
    """Return a statement with numbers in place of the names of its values."""
    names = list(dict.fromkeys(VALUE.findall(statement)))
    numbered = VALUE.sub(lambda match: f"${names.index(match[1]) + 1}", statement)
    return NumberedStatement(numbered, names)


class PostgresStatements:
    """See ``NamedStatements``. A write is repeated if its connection was lost."""

    def __init__(self, file: str, writing: RetryingPool, reading: ReadPool) -> None:
        statements = load_sql("prefactor_server.storage.postgres.sql", file)
        self._statements = {name: with_numbers(sql) for name, sql in statements.items()}
        self._writing = writing
        self._reading = reading

    async def rows(
        self, make: Callable[[Iterable[Any]], T], name: str, **values: object
    ) -> list[T]:
        """See ``NamedStatements.rows``."""
        bound = self._bound(name, values)
        records = await self._reading.run(lambda connection: connection.fetch(*bound))
        return [make(record) for record in records]

    async def value(self, name: str, **values: object) -> Any:
        """See ``NamedStatements.value``."""
        bound = self._bound(name, values)
        return await self._reading.run(lambda connection: connection.fetchval(*bound))

    async def change(self, name: str, **values: object) -> int:
        """See ``NamedStatements.change``."""
        bound = self._bound(name, values)
        done = await self._writing.run(lambda connection: connection.execute(*bound))
        return int(done.split()[-1])

    async def change_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """See ``NamedStatements.change_each``; the statement takes an array for each column."""
        sql = self._statements[name].sql
        arrays = [list(column) for column in zip(*rows, strict=True)]
        await self._writing.run(lambda connection: connection.execute(sql, *arrays))

    def _bound(self, name: str, values: Mapping[str, object]) -> tuple[Any, ...]:
        statement = self._statements[name]
        return (statement.sql, *(values[one] for one in statement.names))
