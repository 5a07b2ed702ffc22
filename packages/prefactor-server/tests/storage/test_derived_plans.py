"""SQLite reads derived data and the change feed through indexes."""

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.storage.facets import metadata_counts_sql
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite import facets
from prefactor_server.storage.sqlite.connection import open_reader
from prefactor_server.storage.sqlite.tables import table_for

STATEMENTS: Mapping[str, str] = {
    **{
        name: text
        for file in ("feed", "run_totals", "series", "webhooks", "heartbeats")
        for name, text in load_sql("prefactor_server.storage.sqlite.sql", f"{file}.sql").items()
    },
    "facets.texts": facets._TEXTS,
    "facets.types_of_spans": facets._TYPES_OF_SPANS,
    "facets.metadata_counts": metadata_counts_sql("account", (), (), 10).sql,
    "people.by_identity": f"{table_for(AdminUser).select} WHERE account_id = ? "
    "AND openid_subject = ? AND openid_issuer = ?",
    "people.pending_invite": f"{table_for(AdminUserInvite).select} WHERE account_id = ? "
    "AND email = ? AND status = ?",
}
# A row for each consumer, a row for the database, what a statement itself brings (ids, and the 64
# first spans of each), the runs that facets examine, and the rows of a limited statement in order,
# or counted; the times in which a server was there, the first heartbeat of all, and abandoned runs.
FEW = re.compile(
    r"SCAN (named|json_each|run VIRTUAL TABLE|first\Z|feed_consumer|feed_state"
    r"|CONSTANT ROW|current|\(subquery|(examined|counted)\Z"
    r"|run_total_due USING INDEX run_total_due_since\Z"
    r"|webhook_delivery USING INDEX webhook_delivery_due\Z"
    r"|server_uptime\Z|run_heartbeat USING COVERING INDEX run_heartbeat_silent\Z"
    r"|(agent_instance|t) USING INDEX agent_instance_abandoned\Z)"
)
# Each agent has a risk profile, and all of them are compared. Each enabled webhook is asked whether
# it has something to send, and there are few in an account.
EACH = re.compile(r"SCAN (agent\Z|t USING INDEX webhook_(enabled|deleted)\Z)")


class _Any(dict[str, Any]):
    """A value for every parameter."""

    def __missing__(self, name: str) -> Any:
        return 1


@pytest.fixture
def schema_file(request: pytest.FixtureRequest) -> Path:
    """A file with empty tables."""
    path: Path = request.getfixturevalue("_migrated_file")
    return path


@pytest.mark.parametrize("name", STATEMENTS)
def test_derived_data_is_found_by_index(name: str, schema_file: Path) -> None:
    """No statement about derived data or heartbeats scans a table."""
    sql = STATEMENTS[name]
    values = (1,) * sql.count("?") if "?" in sql else _Any()
    with closing(open_reader(schema_file)) as connection:
        explained = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
    slow = [step[3] for step in explained if "SCAN" in step[3] and not FEW.match(step[3])]

    assert [step for step in slow if not EACH.match(step)] == []
