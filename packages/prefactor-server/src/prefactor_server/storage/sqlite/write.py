"""Turns decided snapshots into set-based statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import (
    CLOSED_BY_TERMINATION,
    FINISHED_BEFORE_STARTED,
    AgentSpan,
    SpanPayload,
)
from prefactor_server.storage.base import Snapshot
from prefactor_server.storage.feed_rows import FeedRow, feed_rows, run_state
from prefactor_server.storage.sqlite.deleted_runs import make_room
from prefactor_server.storage.sqlite.statements import Statement
from prefactor_server.storage.sqlite.tables import COUNTED_RUN, TABLES, table_for

_CLOSE_SPANS = """
UPDATE agent_span
SET status = 'cancelled', started_at = coalesce(started_at, :at), finished_at = :at,
    flags = flags | :closed | CASE WHEN started_at > :at THEN :early ELSE 0 END, updated_at = :at
WHERE account_id = :account_id AND agent_instance_id = :run_id AND status IN ('pending', 'active')
RETURNING id
"""

# The number of the last span. Payloads refer to numbers, and SQLite would also assign the next.
_LAST_SPAN = "SELECT coalesce(max(seq), 0) FROM agent_span"

_INSERT_SPANS: Final = Statement(
    1 + len(AgentSpan._fields),
    f"INSERT INTO agent_span (seq, {', '.join(AgentSpan._fields)}) VALUES {{rows}}",  # noqa: S608
)

_INSERT_PAYLOADS: Final = Statement(
    3, "INSERT OR REPLACE INTO span_payload (id, codec, body) VALUES {rows}"
)

_ADD_PAYLOADS: Final = Statement(
    5,
    """
    WITH added (part, codec, body, account_id, span_id) AS (VALUES {rows})
    INSERT OR REPLACE INTO span_payload (id, codec, body)
    SELECT span.seq * 2 + added.part, added.codec, added.body
    FROM added CROSS JOIN agent_span AS span
      ON span.account_id = added.account_id AND span.id = added.span_id
    """,
)

_INSERT_CONTENT = """
INSERT INTO schema_content (account_id, content_hash, codec, body) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""

_INSERT_AUDIT = """
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
VALUES (?, ?, ?, ?, ?, ?)
"""


def write(connection: sqlite3.Connection, account_id: str, snapshot: Snapshot) -> Sequence[FeedRow]:
    """Write the changes of a snapshot; return the changed runs for the feed."""
    new_runs = [run.id for run in snapshot.new(AgentInstance)]
    make_room(connection, account_id, new_runs, [span.id for span in snapshot.new(AgentSpan)])
    closed: dict[str, Sequence[str]] = {}
    # First close the stored spans of terminated runs. Spans that the batch names are written later,
    # as they were decided.
    for run_id, at in snapshot.closed_runs:
        found = connection.execute(
            _CLOSE_SPANS,
            {
                "account_id": account_id,
                "run_id": run_id,
                "at": at,
                "closed": CLOSED_BY_TERMINATION,
                "early": FINISHED_BEFORE_STARTED,
            },
        ).fetchall()
        closed[run_id] = [*closed.get(run_id, ()), *(span_id for (span_id,) in found)]
    kinds = snapshot.kinds()
    written = [table for table in TABLES if table.kind in kinds]
    # Rows that others refer to are deleted last. All deletions precede the inserts, because a new
    # row may have the same key as a deleted one.
    for table in reversed(written):
        if deleted := snapshot.deleted(table.kind):
            connection.executemany(table.delete, table.delete_parameters(deleted))
    numbers: Mapping[str, int] = {}
    for table in written:
        # Updates precede inserts: a cleared alert may be followed by a new one of its name.
        if table.kind is AgentInstance:
            _update_runs(connection, snapshot)
        elif changed := snapshot.changed(table.kind):
            table.run_update(connection, changed)
        if table.kind is AgentSpan:
            numbers = _insert_spans(connection, snapshot.new(AgentSpan))
        else:
            table.insert.run(connection, snapshot.new(table.kind))
    _insert_payloads(connection, snapshot.payloads, numbers)
    if snapshot.contents:
        connection.executemany(_INSERT_CONTENT, snapshot.contents)
    if snapshot.audit:
        connection.executemany(_INSERT_AUDIT, snapshot.audit)
    return feed_rows(account_id, snapshot, closed)


def _update_runs(connection: sqlite3.Connection, snapshot: Snapshot) -> None:
    """Update runs. Most of them only have another span."""
    changed = snapshot.changed(AgentInstance)
    if not changed:
        return
    before = {run.id: run_state(run) for run in snapshot.loaded if isinstance(run, AgentInstance)}
    counted = [run for run in changed if run_state(run) == before[run.id]]
    others = [run for run in changed if run_state(run) != before[run.id]]
    COUNTED_RUN.run_update(connection, counted)
    table_for(AgentInstance).run_update(connection, others)


def _insert_spans(connection: sqlite3.Connection, spans: Sequence[AgentSpan]) -> Mapping[str, int]:
    """Insert spans of one account; return the number of each."""
    if not spans:
        return {}
    # Numbered here, so that inserting their payloads needs no lookup.
    (last,) = connection.execute(_LAST_SPAN).fetchone()
    numbered = list(enumerate(spans, last + 1))
    _INSERT_SPANS.run(connection, [(number, *span) for number, span in numbered])
    return {span.id: number for number, span in numbered}


def _insert_payloads(
    connection: sqlite3.Connection, payloads: Sequence[SpanPayload], numbers: Mapping[str, int]
) -> None:
    new: list[tuple[int, int, bytes]] = []
    added: list[tuple[int, int, bytes, str, str]] = []
    for account_id, span_id, part, codec, body in payloads:
        number = numbers.get(span_id)
        if number is None:
            added.append((part, codec, body, account_id, span_id))
        else:
            new.append((number * 2 + part, codec, body))
    _INSERT_PAYLOADS.run(connection, new)
    _ADD_PAYLOADS.run(connection, added)
