"""The spans of deleted runs that are still in the file, and are deleted in slices."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "maintenance.sql")
_ANY: Final = "SELECT 1 FROM deleted_run WHERE account_id = ? LIMIT 1"


def has_any(connection: sqlite3.Connection, account_id: str) -> bool:
    """Whether spans of any deleted run of an account are still in the file."""
    return connection.execute(_ANY, (account_id,)).fetchone() is not None


def delete_remaining_spans(limit: int, connection: sqlite3.Connection) -> int:
    """See ``Maintenance.delete_remaining_spans``."""
    return _delete(connection, connection.execute(_SQL["deleted.spans"], {"slice": limit}))


def make_room(
    connection: sqlite3.Connection,
    account_id: str,
    run_ids: Sequence[str],
    span_ids: Sequence[str],
) -> None:
    """Delete what remains under the ids of new runs and spans, which would be taken for theirs."""
    if not (run_ids or span_ids) or not has_any(connection, account_id):
        return
    named = {
        "account_id": account_id,
        "runs": json.dumps(run_ids),
        "spans": json.dumps(span_ids),
    }
    _delete(connection, connection.execute(_SQL["deleted.spans_named"], named))


def _delete(connection: sqlite3.Connection, found: sqlite3.Cursor) -> int:
    seqs = [seq for (seq,) in found]
    if seqs:
        named = {"seqs": json.dumps(seqs)}
        connection.execute(_SQL["deleted.delete_payloads"], named)
        connection.execute(_SQL["deleted.delete_spans"], named)
    # Also the runs that never had spans. Otherwise a new run with such an id would stay hidden.
    connection.execute(_SQL["deleted.forget"])
    return len(seqs)
