"""A real database file in a folder of the test's own."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rows import ACCOUNT, ENVIRONMENT, NOW, OTHER_ACCOUNT, STAGING

from prefactor_server.commands.base import Command, Done, Outcome, Refused
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import Refusal
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.sqlite.backend import SqliteStorage

E = TypeVar("E", bound=Refusal)

SECRET = "a-token-of-the-operators-own"
TABLES = (
    "account",
    "environment",
    "api_token",
    "agent",
    "schema_content",
    "agent_schema_version",
    "agent_version",
    "agent_deployment",
    "agent_instance",
    "deleted_run",
    "agent_instance_quality",
    "agent_instance_metadata",
    "agent_instance_metadata_entry",
    "agent_span",
    "span_payload",
    "alert",
    "alert_review",
    "idempotency_key",
    "audit_entry",
    "legal_hold",
    "risk_profile",
    "admin_user",
    "admin_user_invite",
    "feed_change",
    "feed_state",
    "feed_consumer",
    "lease",
    "run_total",
    "run_span_type",
    "run_total_due",
    "session",
    "sign_in_link",
    "series_rollup",
    "series_rollup_due",
    "series_late_span",
    "series_run_end",
    "otlp_trace",
    "webhook",
    "webhook_delivery",
    "retention_policy",
    "run_heartbeat",
    "server_uptime",
)


@dataclass
class Database:
    """An open database, with simple ways to write and read it."""

    path: Path
    storage: SqliteStorage
    writer: Writer

    async def submit(self, *commands: Command) -> list[Outcome]:
        """Carry out the commands as one request."""
        return await self.writer.submit(commands, 1)

    async def do(self, command: Command) -> Any:
        """Carry out a command that must succeed, and return its row."""
        (outcome,) = await self.submit(command)
        assert isinstance(outcome, Done), outcome
        return outcome.row

    async def refuse(self, command: Command, kind: type[E]) -> E:
        """Carry out a command that must be refused, and return why it was."""
        (outcome,) = await self.submit(command)
        assert isinstance(outcome, Refused), outcome
        assert type(outcome.refusal) is kind
        return outcome.refusal

    async def run(self, run_id: str, account_id: str = ACCOUNT) -> AgentInstance:
        """Return an existing run."""
        found = await self.storage.instance(account_id, run_id)
        assert found is not None
        return found

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        """Return the rows of a query, read over a separate connection."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, *parameters: object) -> None:
        """Change the database file directly."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(sql, parameters)

    def everything(self) -> dict[str, Sequence[Any]]:
        """Return all rows of all tables, in an order independent of the order of writes."""
        return {
            table: sorted(self.rows(f"SELECT * FROM {table}"), key=repr)  # noqa: S608 - ours
            for table in TABLES
        }


async def make_database(path: Path, *, exclusive: bool = True, **options: Any) -> Database:
    """A new database of two accounts, each with a default and a staging environment."""
    storage = SqliteStorage.open(path, exclusive=exclusive, **options)
    await storage.create_account(
        Account(ACCOUNT, "First", 1, NOW, NOW),
        Environment(ENVIRONMENT, ACCOUNT, "Default", True, NOW, NOW),
        new_token(SECRET, "token-1", ACCOUNT, NOW),
        AuditEntry(ACCOUNT, NOW, "cli", "accounts.create", ACCOUNT, None),
    )
    database = Database(path, storage, Writer(storage, max_queue_bytes=1 << 20))
    insert = "INSERT INTO environment VALUES (?, ?, ?, ?, ?, ?)"
    database.execute("INSERT INTO account VALUES (?, ?, ?, ?, ?)", OTHER_ACCOUNT, "Other", 2, 1, 1)
    database.execute(insert, ENVIRONMENT, OTHER_ACCOUNT, "Default", 1, NOW, NOW)
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        database.execute(insert, STAGING, account_id, "Staging", 0, NOW, NOW)
    return database
