"""The tables of rows that are derived from the change feed, and the writes of a slice by table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, TypeAlias

from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.run_span_type import RunSpanType
from prefactor_server.domain.runs.run_total import RunTotal, RunTotalDue
from prefactor_server.domain.search.index import SearchDocument
from prefactor_server.domain.series.rollup import (
    CountedEnd,
    CountedLateSpan,
    Rollup,
    RollupDue,
    RollupKey,
)
from prefactor_server.storage.feed import Deleted

Kind: TypeAlias = type[tuple[Any, ...]]


class DerivedTable:
    """The table of one kind of derived row; ``identity`` are the columns that identify a row.

    ``columns`` are the fields of ``kind``, a named tuple. Upserting a row replaces its other
    columns. Adding a row adds to them.
    """

    def __init__(self, kind: Any, name: str, identity: Sequence[str]) -> None:
        self.kind: Kind = kind
        self.name = name
        self.identity = identity
        self.columns: Sequence[str] = kind._fields
        rest = [column for column in self.columns if column not in identity]
        replaced = ", ".join(f"{column} = excluded.{column}" for column in rest)
        added = ", ".join(f"{column} = {name}.{column} + excluded.{column}" for column in rest)
        conflict = f"ON CONFLICT ({', '.join(identity)}) DO"
        self.or_replace = f"{conflict} UPDATE SET {replaced}" if rest else f"{conflict} NOTHING"
        self.or_add = f"{conflict} UPDATE SET {added}"


DERIVED: Final[Mapping[Kind, DerivedTable]] = {
    table.kind: table
    for table in (
        DerivedTable(AlertReview, "alert_review", ("account_id", "id")),
        DerivedTable(RunTotal, "run_total", ("account_id", "id")),
        DerivedTable(RunTotalDue, "run_total_due", ("account_id", "id")),
        DerivedTable(
            RunSpanType, "run_span_type", ("account_id", "agent_instance_id", "schema_name")
        ),
        DerivedTable(
            SearchDocument, "search_document", ("account_id", "agent_instance_id", "span_id")
        ),
        DerivedTable(Rollup, "series_rollup", RollupKey._fields),
        DerivedTable(RollupDue, "series_rollup_due", RollupDue._fields),
        DerivedTable(
            CountedLateSpan, "series_late_span", ("account_id", "agent_instance_id", "span_id")
        ),
        DerivedTable(CountedEnd, "series_run_end", ("account_id", "agent_instance_id")),
    )
}


def by_key(deletions: Sequence[Deleted]) -> Mapping[tuple[Kind, int], list[tuple[str | int, ...]]]:
    """Group deletions by the kind of row and the number of values in the key."""
    found: dict[tuple[Kind, int], list[tuple[str | int, ...]]] = defaultdict(list)
    for one in deletions:
        found[one.kind, len(one.key)].append(one.key)
    return found


def by_kind(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Kind, list[tuple[Any, ...]]]]:
    """Group rows by kind, in the order of the kinds' names."""
    for kind, of_kind in groupby(sorted(rows, key=_kind_name), key=type):
        yield kind, list(of_kind)


def _kind_name(row: tuple[Any, ...]) -> str:
    return type(row).__name__
