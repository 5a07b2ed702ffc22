"""Writes rows derived from the change feed to SQLite."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.run_span_type import RunSpanType
from prefactor_server.domain.runs.run_total import RunTotal, RunTotalDue
from prefactor_server.domain.series.rollup import (
    CountedEnd,
    CountedLateSpan,
    Rollup,
    RollupDue,
    RollupKey,
)
from prefactor_server.storage.feed import Deleted, Derived
from prefactor_server.storage.sqlite.statements import Statement


class DerivedTable:
    """The table of one kind of derived row; ``identity`` are the columns that identify a row.

    ``columns`` are the fields of ``kind``, a named tuple. Upserting a row replaces its other
    columns. Adding a row adds to them.
    """

    def __init__(self, kind: type[Any], name: str, identity: Sequence[str]) -> None:
        self.kind = kind
        self.name = name
        self.identity = identity
        self.columns: Sequence[str] = kind._fields
        rest = [column for column in self.columns if column not in identity]
        insert = (
            f"INSERT INTO {name} ({', '.join(self.columns)}) "  # noqa: S608 - our own names
            f"VALUES {{rows}} ON CONFLICT ({', '.join(identity)}) "
        )
        replaced = ", ".join(f"{column} = excluded.{column}" for column in rest)
        replace = f"DO UPDATE SET {replaced}"
        added = ", ".join(f"{column} = {name}.{column} + excluded.{column}" for column in rest)
        self.upsert = Statement(len(self.columns), insert + (replace if rest else "DO NOTHING"))
        self.add = Statement(len(self.columns), f"{insert} DO UPDATE SET {added}")

    def delete(self, length: int) -> str:
        """Return the statement that deletes rows by the first values of their identity."""
        found = " AND ".join(f"{column} = ?" for column in self.identity[:length])
        return f"DELETE FROM {self.name} WHERE {found}"  # noqa: S608

    def some(self) -> str:
        """Return the query for the identities of some rows."""
        return f"SELECT {', '.join(self.identity)} FROM {self.name} LIMIT ?"  # noqa: S608


DERIVED: Final[Sequence[DerivedTable]] = (
    DerivedTable(AlertReview, "alert_review", ("account_id", "id")),
    DerivedTable(RunTotal, "run_total", ("account_id", "id")),
    DerivedTable(RunTotalDue, "run_total_due", ("account_id", "id")),
    DerivedTable(RunSpanType, "run_span_type", ("account_id", "agent_instance_id", "schema_name")),
    DerivedTable(Rollup, "series_rollup", RollupKey._fields),
    DerivedTable(RollupDue, "series_rollup_due", RollupDue._fields),
    DerivedTable(
        CountedLateSpan, "series_late_span", ("account_id", "agent_instance_id", "span_id")
    ),
    DerivedTable(CountedEnd, "series_run_end", ("account_id", "agent_instance_id")),
)


def write_derived(connection: sqlite3.Connection, derived: Derived) -> None:
    """Write the rows derived from a slice, within its transaction."""
    for (table, length), keys in _by_key(derived.deleted).items():
        connection.executemany(table.delete(length), keys)
    for table, rows in _by_table(derived.upserted):
        table.upsert.run(connection, rows)
    for table, rows in _by_table(derived.added):
        table.add.run(connection, rows)


def some_derived(connection: sqlite3.Connection, kind: type[Any], limit: int) -> list[Deleted]:
    """Return deletions of some rows of a kind."""
    found = connection.execute(_table(kind).some(), (limit,))
    return [Deleted(kind, tuple(key)) for key in found]


def _by_key(
    deletions: Sequence[Deleted],
) -> Mapping[tuple[DerivedTable, int], list[tuple[str | int, ...]]]:
    found: dict[tuple[DerivedTable, int], list[tuple[str | int, ...]]] = defaultdict(list)
    for one in deletions:
        found[_table(one.kind), len(one.key)].append(one.key)
    return found


def _by_table(
    rows: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[DerivedTable, list[tuple[Any, ...]]]]:
    for kind, of_kind in groupby(sorted(rows, key=_kind_name), key=type):
        yield _table(kind), list(of_kind)


def _kind_name(row: tuple[Any, ...]) -> str:
    return type(row).__name__


def _table(kind: type[Any]) -> DerivedTable:
    return next(table for table in DERIVED if table.kind is kind)
