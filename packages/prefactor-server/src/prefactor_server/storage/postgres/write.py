"""Turns decided snapshots into the arguments of the function that writes a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import Snapshot
from prefactor_server.storage.feed_rows import feed_rows
from prefactor_server.storage.postgres.load import Loaded, Stored
from prefactor_server.storage.postgres.tables import (
    COUNTERS,
    TABLES,
    Table,
    table_for,
)
from prefactor_server.storage.postgres.write_function import argument_names

Tuples: TypeAlias = Sequence[tuple[Any, ...]]

_counts: Final = attrgetter(*COUNTERS)


def arguments(loaded: Loaded) -> Sequence[Tuples | None] | None:
    """Return the arguments of ``write_batch`` after its receipt, or None if nothing changed.

    An argument without rows is None, because an empty array costs the driver and the database more.
    """
    found = _found(loaded.snapshots, loaded.stored)
    closes = any(snapshot.closed_runs for snapshot in loaded.snapshots.values())
    if not closes and not any(found.values()):
        return None
    return [found.get(name) or None for name in argument_names()]


def _found(snapshots: Mapping[str, Snapshot], stored: Stored) -> Mapping[str, Tuples]:
    """Return the rows to write, by argument."""
    found: dict[str, Tuples] = {
        "runs": sorted(run for snapshot in snapshots.values() for run in _runs(snapshot, stored))
    }
    kinds = {kind for snapshot in snapshots.values() for kind in snapshot.kinds()}
    for table in TABLES:
        if table.kind in kinds:
            found[f"deleted_{table.name}"] = _deletions(table, snapshots, stored)
            found[f"new_{table.name}"] = _insertions(table, snapshots)
            if table.versioned and table.kind is not AgentInstance:
                found[f"changed_{table.name}"] = _changes(table, snapshots, stored)
    # Of several payloads for the same part of a span, the last one wins.
    payloads = {one[:3]: one for snapshot in snapshots.values() for one in snapshot.payloads}
    found["new_span_payload"] = [payloads[key] for key in sorted(payloads)]
    contents = {one[:2]: one for snapshot in snapshots.values() for one in snapshot.contents}
    found["new_schema_content"] = [contents[key] for key in sorted(contents)]
    found["new_audit_entry"] = [
        entry for snapshot in snapshots.values() for entry in snapshot.audit
    ]
    found["new_feed_change"] = [
        row for account_id, one in snapshots.items() for row in feed_rows(account_id, one)
    ]
    return found


def _insertions(table: Table[Any], snapshots: Mapping[str, Snapshot]) -> Tuples:
    return table.ordered(row for snapshot in snapshots.values() for row in snapshot.new(table.kind))


def _changes(table: Table[Any], snapshots: Mapping[str, Snapshot], stored: Stored) -> Tuples:
    rows = table.ordered(
        row for snapshot in snapshots.values() for row in snapshot.changed(table.kind)
    )
    return [
        (*(identity := table.identify(row)), stored[table.kind, identity][1], *table.values(row))
        for row in rows
    ]


def _deletions(table: Table[Any], snapshots: Mapping[str, Snapshot], stored: Stored) -> Tuples:
    rows = table.ordered(
        row for snapshot in snapshots.values() for row in snapshot.deleted(table.kind)
    )
    return [(*(key := table.identify(row)), stored[table.kind, key][1]) for row in rows]


def _runs(snapshot: Snapshot, stored: Stored) -> Iterator[tuple[Any, ...]]:
    table, closed = table_for(AgentInstance), dict(snapshot.closed_runs)
    for run in snapshot.changed(AgentInstance):
        identity = table.identify(run)
        before, revision = stored[AgentInstance, identity]
        closed_at = closed.get(run.id)
        state = table.values(run)
        moved = state != table.values(before)
        # Other servers add to the counts concurrently, so this writes only the differences.
        start = _counts(before if closed_at is None else before.with_spans_closed())
        added = [now - then for now, then in zip(_counts(run), start, strict=True)]
        yield (*identity, revision, moved, closed_at, *state, run.last_seen_at, *added)
