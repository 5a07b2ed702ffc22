"""A database in a real PostgreSQL, and the ways in which a test looks at it and gets in between."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from database import TABLES
from rows import ACCOUNT, ENVIRONMENT, NOW, OTHER_ACCOUNT, STAGING

from prefactor_server.commands.base import (
    Command,
    Done,
    Outcome,
    Submission,
    collect_needs,
    decide_batch,
)
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.storage.base import Snapshot, Storage
from prefactor_server.storage.postgres.backend import PostgresStorage

T = TypeVar("T")

SECRET = "a-token-of-the-operators-own"
# Columns of this backend only.
OWN_COLUMNS = ("revision", "seq")

RECOUNTED = """
SELECT run.id,
       (run.pending_spans, run.active_spans, run.complete_spans, run.failed_spans,
        run.cancelled_spans)::text,
       (SELECT (count(*) FILTER (WHERE status = 'pending'),
                count(*) FILTER (WHERE status = 'active'),
                count(*) FILTER (WHERE status = 'complete'),
                count(*) FILTER (WHERE status = 'failed'),
                count(*) FILTER (WHERE status = 'cancelled'))::text
        FROM agent_span AS span
        WHERE span.account_id = run.account_id AND span.agent_instance_id = run.id)
FROM agent_instance AS run
"""


@dataclass(frozen=True)
class PostgresDatabase:
    """A database with two accounts, each with a default and a staging environment."""

    url: str

    async def open(self, **options: Any) -> PostgresStorage:
        """One more server's storage on it."""
        return await PostgresStorage.open(self.url, **options)

    async def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, read over a separate connection."""
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(record) for record in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    async def value(self, sql: str, *values: object) -> Any:
        """The one value that a query finds."""
        ((value,),) = await self.rows(sql, *values)
        return value

    async def everything(self) -> dict[str, list[Any]]:
        """All rows of all tables, without columns of this backend only, sorted."""
        connection = await asyncpg.connect(self.url)
        try:
            found: dict[str, list[Any]] = {}
            for table in TABLES:
                records = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 - ours
                found[table] = sorted((plain(record) for record in records), key=repr)
            return found
        finally:
            await connection.close()

    async def until_blocked(self, task: "asyncio.Task[Any]") -> None:
        """Return when a task waits for a lock, or has ended without."""
        while not task.done():
            if await self.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                return

    async def check_counts(self) -> None:
        """Every run counts the spans that it has."""
        for run_id, kept, counted in await self.rows(RECOUNTED):
            assert kept == counted, run_id


def plain(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """A record as the embedded database has it."""
    return tuple(
        int(value) if isinstance(value, bool) else value
        for column, value in record.items()
        if column not in OWN_COLUMNS
    )


async def fill(storage: PostgresStorage, url: str) -> None:
    """Two accounts, as `make_database` makes them."""
    await storage.create_account(
        Account(ACCOUNT, "First", 1, NOW, NOW),
        Environment(ENVIRONMENT, ACCOUNT, "Default", True, NOW, NOW),
        new_token(SECRET, "token-1", ACCOUNT, NOW),
        AuditEntry(ACCOUNT, NOW, "cli", "accounts.create", ACCOUNT, None),
    )
    connection = await asyncpg.connect(url)
    try:
        account = "INSERT INTO account VALUES ($1, 'Other', 2, 1, 1)"
        await connection.execute(account, OTHER_ACCOUNT)
        insert = "INSERT INTO environment VALUES ($1, $2, $3, $4, $5, $5)"
        await connection.execute(insert, ENVIRONMENT, OTHER_ACCOUNT, "Default", True, NOW)
        for account_id in (ACCOUNT, OTHER_ACCOUNT):
            await connection.execute(insert, STAGING, account_id, "Staging", False, NOW)
    finally:
        await connection.close()


async def submit(
    storage: Storage, *commands: Command, meanwhile: Callable[[], None] | None = None
) -> list[Outcome]:
    """Carry out commands as one request; ``meanwhile`` runs once, before they are written."""
    submissions = [Submission(commands, 1)]
    pending = [meanwhile] if meanwhile is not None else []

    def decide(snapshots: Mapping[str, Snapshot]) -> list[list[Outcome]]:
        while pending:
            pending.pop()()
        return decide_batch(submissions, snapshots)

    (outcomes,) = await storage.transact(collect_needs(submissions), decide)
    return outcomes


async def do(storage: Storage, command: Command) -> Any:
    """Carry out a command that must succeed, and return its row."""
    (outcome,) = await submit(storage, command)
    assert isinstance(outcome, Done), outcome
    return outcome.row


def aside(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something to completion on another thread's event loop, blocking this one."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def on_another_replica(
    database: PostgresDatabase, *commands: Command, into: list[Outcome] | None = None
) -> Callable[[], None]:
    """Return a function that lets another server carry out commands to completion."""

    async def work() -> Sequence[Outcome]:
        storage = await database.open(concurrency=1, readers=1)
        try:
            return await submit(storage, *commands)
        finally:
            await storage.close()

    def happen() -> None:
        outcomes = aside(work)
        if into is not None:
            into.extend(outcomes)

    return happen
