"""Maps rows to tables, and to the statements that insert and update them.

A row is a tuple in the order of its table's columns, so it can be bound directly. A test compares
the two orders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, Generic, get_type_hints

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage import tables
from prefactor_server.storage.base import R
from prefactor_server.storage.feed_rows import STATE_COLUMNS
from prefactor_server.storage.sqlite.statements import Statement
from prefactor_server.storage.tables import TableDefinition


def _with_booleans(shape: Any) -> Callable[[Sequence[Any]], Any]:
    """Return a function that makes a row from a record, converting 0 and 1 to booleans."""
    make: Callable[[Sequence[Any]], Any] = shape._make
    kinds = get_type_hints(shape)
    places = [place for place, column in enumerate(shape._fields) if kinds[column] is bool]
    if not places:
        return make

    def made(record: Sequence[Any]) -> Any:
        values = list(record)
        for place in places:
            values[place] = bool(values[place])
        return make(values)

    return made


class Table(Generic[R]):
    """The table of one kind of row, with its statements; see ``TableDefinition``.

    ``select`` reads the rows that may be shown, and ``select_all`` all of them.
    """

    def __init__(self, definition: TableDefinition) -> None:
        kind, name, mutable, identity, view = definition
        self.kind: type[R] = kind
        self.name = name
        self.view = view or name
        self.columns: Sequence[str] = kind._fields
        self._make: Callable[[Sequence[Any]], R] = _with_booleans(kind)
        # A column called "partition" or "key" is fine in SQLite, but quoting costs nothing.
        listed = ", ".join(f'"{column}"' for column in self.columns)
        self.select = f"SELECT {listed} FROM {self.view}"  # noqa: S608 - our own names
        self.select_all = f"SELECT {listed} FROM {name}"  # noqa: S608
        self.insert = Statement(
            len(self.columns),
            f"INSERT INTO {name} ({listed}) VALUES {{rows}}",  # noqa: S608
        )
        self.update = _update(name, mutable, identity) if mutable else None
        found = " AND ".join(f"{column} = ?" for column in identity)
        self.delete = f"DELETE FROM {name} WHERE {found}"  # noqa: S608
        self._update_values: Callable[[R], tuple[Any, ...]] | None = (
            attrgetter(*mutable, *identity) if mutable else None
        )
        self._identity: Callable[[R], Sequence[Any]] = lambda row: [
            getattr(row, column) for column in identity
        ]

    def rows(self, records: Iterable[Sequence[Any]]) -> list[R]:
        """Return the rows in the records of a select over ``columns``."""
        return [self._make(record) for record in records]

    def run_update(self, connection: sqlite3.Connection, rows: Iterable[R]) -> None:
        """Write the mutable columns of existing rows."""
        if self.update is None or self._update_values is None:
            raise TypeError(f"rows of {self.name} never change")
        self.update.run(connection, [self._update_values(row) for row in rows])

    def delete_parameters(self, rows: Iterable[R]) -> list[Sequence[Any]]:
        """Return the parameters of a delete of these rows."""
        return [self._identity(row) for row in rows]


def _update(name: str, mutable: Sequence[str], identity: Sequence[str]) -> Statement:
    """Return the statement that writes the mutable columns of rows, found by identity."""
    changed = ", ".join([*mutable, *identity])
    assignments = ", ".join(f"{column} = change.{column}" for column in mutable)
    found = " AND ".join(f"{name}.{column} = change.{column}" for column in identity)
    # For many rows, SQLite collects the changes in a temporary table first.
    values = ", ".join(f"{column} = ?" for column in mutable)
    named = " AND ".join(f"{column} = ?" for column in identity)
    return Statement(
        len(mutable) + len(identity),
        f"WITH change ({changed}) AS (VALUES {{rows}}) "  # noqa: S608
        f"UPDATE {name} SET {assignments} FROM change WHERE {found}",
        one=f"UPDATE {name} SET {values} WHERE {named}",  # noqa: S608
    )


TABLES: Final = tuple(Table[Any](one) for one in tables.TABLES)
"""The tables that batches write, in this order."""

_READ_ONLY: Final = tuple(Table[Any](one) for one in tables.READ_ONLY_TABLES)
_BY_KIND: Final = {table.kind: table for table in (*TABLES, *_READ_ONLY)}


def table_for(kind: type[R]) -> Table[R]:
    """Return the table of a kind of row."""
    return _BY_KIND[kind]


def _counted_run() -> Table[AgentInstance]:
    run = next(one for one in tables.TABLES if one.kind is AgentInstance)
    counted = [column for column in run.mutable if column not in STATE_COLUMNS]
    return Table(run._replace(mutable=counted))


COUNTED_RUN: Final = _counted_run()
"""The table of runs, for runs whose spans were counted and nothing else.

An update writes an entry of every index over a column that it names, even if the value is the same.
"""
