"""Writing: from decided snapshots to set-based statements."""

from __future__ import annotations

import sqlite3

from prefactor_server.domain.agent_span import CLOSED_BY_TERMINATION, FINISHED_BEFORE_STARTED
from prefactor_server.storage.base import Snapshot
from prefactor_server.storage.sqlite import tables

_CLOSE_SPANS = """
UPDATE agent_span
SET status = 'cancelled', started_at = coalesce(started_at, :at), finished_at = :at,
    flags = flags | :closed | CASE WHEN started_at > :at THEN :early ELSE 0 END, updated_at = :at
WHERE account_id = :account_id AND agent_instance_id = :run_id AND status IN ('pending', 'active')
"""

_INSERT_PAYLOAD = """
INSERT OR REPLACE INTO span_payload (id, codec, body)
SELECT seq * 2 + ?, ?, ? FROM agent_span WHERE account_id = ? AND id = ?
"""

_INSERT_CONTENT = """
INSERT INTO schema_content (account_id, content_hash, codec, body) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""

_INSERT_AUDIT = """
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
VALUES (?, ?, ?, ?, ?, ?)
"""


def write(connection: sqlite3.Connection, account_id: str, snapshot: Snapshot) -> None:
    """Store what the decisions left in a snapshot."""
    # First close what a termination closes, among the spans that are stored: those that the batch
    # itself names are written after it, as the decisions, in their order, left them.
    for run_id, at in snapshot.closed_runs:
        connection.execute(
            _CLOSE_SPANS,
            {
                "account_id": account_id,
                "run_id": run_id,
                "at": at,
                "closed": CLOSED_BY_TERMINATION,
                "early": FINISHED_BEFORE_STARTED,
            },
        )
    # What others refer to goes last, and everything before others take its place.
    for table in reversed(tables.WRITTEN):
        if gone := snapshot.deleted(table.kind):
            connection.executemany(table.delete, table.delete_parameters(gone))
    for table in tables.WRITTEN:
        new = snapshot.new(table.kind)
        if new:
            connection.executemany(table.insert, new)
        changed = snapshot.changed(table.kind)
        if changed:
            connection.executemany(table.update, table.update_parameters(changed))
    if snapshot.payloads:
        connection.executemany(
            _INSERT_PAYLOAD,
            [
                (payload.part, payload.codec, payload.body, payload.account_id, payload.span_id)
                for payload in snapshot.payloads
            ],
        )
    if snapshot.contents:
        connection.executemany(_INSERT_CONTENT, snapshot.contents)
    if snapshot.audit:
        connection.executemany(_INSERT_AUDIT, snapshot.audit)
