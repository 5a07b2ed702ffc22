"""Reads a whole database file and checks its consistency; see ``storage.verify``."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.named_statements import RunOnThread
from prefactor_server.storage.verify import ROW_SLICE, RUN_SLICE, Finding, RunRecord, SpanRecord

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.sqlite.sql", "maintenance.sql")


async def verify(run: RunOnThread) -> AsyncIterator[Finding]:
    """Yield all inconsistencies, starting with those of the file itself."""
    damages = await run(_damages)
    for damage in damages:
        yield Finding("-", "file", "-", damage)
    if damages:
        # In a damaged file, any other finding may be an effect of the damage.
        return
    for read in (_runs, _spans, _payloads):
        async for finding in _slices(run, read):
            yield finding


async def _slices(
    run: RunOnThread, read: Callable[[Any, sqlite3.Connection], tuple[list[Finding], Any]]
) -> AsyncIterator[Finding]:
    after: Any = None
    while True:
        findings, after = await run(partial(read, after))
        for finding in findings:
            yield finding
        if after is None:
            return


def _damages(connection: sqlite3.Connection) -> list[str]:
    try:
        lines = [line for (line,) in connection.execute("PRAGMA integrity_check")]
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    dangling = [f"a row of {table} refers to a row of {parent}" for table, _, parent, _ in broken]
    return [line for line in lines if line != "ok"] + [f"{one} that is missing" for one in dangling]


def _runs(
    after: tuple[str, str] | None, connection: sqlite3.Connection
) -> tuple[list[Finding], tuple[str, str] | None]:
    account_id, run_id = after or ("", "")
    parameters = {"account_id": account_id, "id": run_id, "slice": RUN_SLICE}
    records = connection.execute(_SQL["verify.runs"], parameters).fetchall()
    findings = [finding for record in records for finding in _run(record).findings()]
    return findings, records[-1][:2] if len(records) == RUN_SLICE else None


def _run(record: Sequence[Any]) -> RunRecord:
    return RunRecord(record[0], record[1], record[2:7], record[7:12], record[12], record[13])


def _spans(after: int | None, connection: sqlite3.Connection) -> tuple[list[Finding], int | None]:
    parameters = {"seq": -1 if after is None else after, "slice": ROW_SLICE}
    records = connection.execute(_SQL["verify.spans"], parameters).fetchall()
    findings = [finding for record in records for finding in SpanRecord(*record[:-1]).findings()]
    return findings, records[-1][-1] if len(records) == ROW_SLICE else None


def _payloads(
    after: int | None, connection: sqlite3.Connection
) -> tuple[list[Finding], int | None]:
    parameters = {"id": -1 if after is None else after, "slice": ROW_SLICE}
    records = connection.execute(_SQL["verify.payloads"], parameters).fetchall()
    findings = [
        Finding("-", "payload", str(number), "its span is missing")
        for number, has_span in records
        if not has_span
    ]
    return findings, records[-1][0] if len(records) == ROW_SLICE else None
