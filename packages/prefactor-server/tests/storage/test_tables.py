"""Rows and their tables: the same fields in the same order, and read back unchanged."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from database import TABLES
from rows import ACCOUNT, NOW, alert, instance, span, webhook, webhook_delivery

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion, SchemaContent
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditRecord
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.metadata import new_metadata
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.base import Changes, Row, Snapshot
from prefactor_server.storage.sqlite.connection import open_writer
from prefactor_server.storage.sqlite.migrate import migrate
from prefactor_server.storage.sqlite.read import READS
from prefactor_server.storage.sqlite.tables import TABLES as WRITTEN
from prefactor_server.storage.sqlite.tables import Table, table_for
from prefactor_server.storage.sqlite.write import write


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty database with one account."""
    opened = open_writer(tmp_path / "prefactor.db")
    migrate(opened)
    opened.execute("INSERT INTO account VALUES (?, 'A', 1, 1, 1)", (ACCOUNT,))
    yield opened
    opened.close()


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table, in its own order."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_a_row_is_in_the_order_of_its_table(
    connection: sqlite3.Connection, table: Table[Any]
) -> None:
    """The fields of every kind of row are the columns of its table, in order."""
    found = columns(connection, table.name)

    # The table of spans begins with a number that the database assigns.
    assert (found[1:] if found[0] == "seq" else found) == list(table.columns)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (Account, "account"),
        (SchemaContent, "schema_content"),
        (AuditRecord, "audit_entry"),
        (LegalHold, "legal_hold"),
    ],
)
def test_handwritten_inserts_match_their_tables(
    connection: sqlite3.Connection, kind: Any, table: str
) -> None:
    """Hand-written statements also list the fields in the order of their tables."""
    assert columns(connection, table) == list(kind._fields)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [("account.all", Account), ("account.by_id", Account), ("token.by_hash", ApiToken)],
)
def test_handwritten_reads_match_their_rows(
    connection: sqlite3.Connection, statement: str, kind: Any
) -> None:
    """A statement that names the columns of a row names all of them in the row's order."""
    cursor = connection.execute(READS[statement], {"account_id": "", "token_hash": b""})

    assert [column[0] for column in cursor.description] == list(kind._fields)


def test_the_tables_are_known(connection: sqlite3.Connection) -> None:
    """The tests look at every table, and each checks the types of its columns."""
    found = dict(
        connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall()
    )

    assert set(found) == {*TABLES, "migration"}
    assert all(sql.rstrip().endswith("STRICT") for sql in found.values())


ROWS: list[Row] = [
    Environment("e", ACCOUNT, "E", True, 1, 2),
    ApiToken("t", ACCOUNT, "account", None, "e", None, b"\0h", "pf_", 9, 1, "active", None, 2),
    Agent("a", ACCOUNT, "A", None, "x", "o", "r", "t", None, 1, 2),
    AgentSchemaVersion("s", ACCOUNT, "a", None, b"\0h", 3, 1, 2),
    AgentVersion("v", ACCOUNT, "a", "s", None, "n", None, b"{}", b"\0m", 1, 2),
    AgentDeployment("d", ACCOUNT, "a", "e", None, 1, 2),
    instance(termination_reason="é\n'\"", failed_spans=2**53),
    alert(),
    AlertReview("agent:a", ACCOUNT, "run-1", 2),
    InstanceQuality("r", ACCOUNT, 1, b'{"q":null}', 2),
    new_metadata(ACCOUNT, "r", {"k": 'é"'}, 1),
    span(summary="日本", flags=15, total_tokens=2**53, started_at=-NOW),
    AdminUser("u", ACCOUNT, "a@b", 1, 2, "member", "hash", 3),
    AdminUserInvite("i", ACCOUNT, "a@b", b"\0h", 1, "pending", 2, "viewer"),
    RiskProfile("p", ACCOUNT, 1, 1, "P", None, "{}", "{}", "{}", "high", None, 2),
    IdempotencyKey(ACCOUNT, "o", "k", b"\xff", "r", 1),
    OtlpTrace("t", ACCOUNT, "r", 1, True, 2, b"\0{}", 2),
    webhook(description="é'", secret=b"\0\xff", previous_secret=b"\0"),
    webhook_delivery(body=b'{"\xff":0}', response_status=500),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
def test_a_row_reads_back_unchanged(connection: sqlite3.Connection, row: Row) -> None:
    """Every kind of row reads back as written, including NULLs, bytes and other scripts."""
    table = table_for(type(row))
    snapshot = Snapshot()
    snapshot.apply(Changes(inserted=(row,)))
    write(connection, ACCOUNT, snapshot)

    assert table.rows(connection.execute(table.select)) == [row]


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if table_for(type(row)).update],
    ids=lambda row: type(row).__name__,
)
def test_an_update_writes_its_own_row(connection: sqlite3.Connection, row: Any) -> None:
    """An update changes the row that it names and leaves its neighbour and other accounts alone."""
    table = table_for(type(row))
    connection.execute("INSERT INTO account VALUES ('other', 'O', 2, 1, 1)")
    alike = row._replace(id="neighbour", updated_at=0)
    for unique in (
        "external_identifier",
        "environment_id",
        "agent_instance_id",
        "token_hash",
        "email",
    ):
        if unique in row._fields:
            alike = alike._replace(**{unique: b"other" if unique == "token_hash" else "other"})
    if isinstance(row, Environment):
        alike = alike._replace(is_default=False)
    theirs = row._replace(account_id="other")
    if "token_hash" in row._fields:
        theirs = theirs._replace(token_hash=b"theirs")
    for account_id, rows in ((ACCOUNT, (row, alike)), ("other", (theirs,))):
        snapshot = Snapshot()
        snapshot.apply(Changes(inserted=rows))
        write(connection, account_id, snapshot)
    changed = row._replace(updated_at=77)
    snapshot = Snapshot([row])
    snapshot.apply(Changes(updated=(changed,)))
    write(connection, ACCOUNT, snapshot)

    found = table.rows(connection.execute(table.select))
    assert sorted(found) == sorted([changed, alike, theirs])


def test_rows_that_never_change_cannot_be_updated(connection: sqlite3.Connection) -> None:
    """Updating a row without changeable columns is a programming error, and is named."""
    with pytest.raises(TypeError, match="rows of idempotency_key never change"):
        table_for(IdempotencyKey).run_update(connection, [])


def test_an_unknown_account_cannot_own_rows(connection: sqlite3.Connection) -> None:
    """The database itself refuses an agent of an account that does not exist."""
    snapshot = Snapshot()
    snapshot.apply(Changes(inserted=(ROWS[2]._replace(account_id="nobody"),)))  # type: ignore[attr-defined]

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        write(connection, "nobody", snapshot)
