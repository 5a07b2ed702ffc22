"""Reads a whole database and checks its consistency; see ``storage.verify``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.verify import ROW_SLICE, RUN_SLICE, Finding, RunRecord, SpanRecord

_SQL: Final[Mapping[str, str]] = load_sql(
    "prefactor_server.storage.postgres.sql", "maintenance.sql"
)


async def verify(pool: RetryingPool) -> AsyncIterator[Finding]:
    """Yield all inconsistencies."""
    async for record in _records(pool, "verify.runs", ("", ""), RUN_SLICE):
        run = RunRecord(record[0], record[1], record[2:7], record[7:12], record[12], record[13])
        for finding in run.findings():
            yield finding
    async for record in _records(pool, "verify.spans", ("", ""), ROW_SLICE):
        for finding in SpanRecord(*record).findings():
            yield finding
    async for account_id, span_id, part, has_span in _records(
        pool, "verify.payloads", ("", "", -1), ROW_SLICE
    ):
        if not has_span:
            yield Finding(account_id, "payload", f"{span_id}/{part}", "its span is missing")


async def _records(
    pool: RetryingPool, statement: str, after: Sequence[Any], slice_size: int
) -> AsyncIterator[tuple[Any, ...]]:
    key = len(after)
    while True:
        records = await pool.run(partial(_fetch, statement, (*after, slice_size)))
        for record in records:
            yield tuple(record)
        if len(records) < slice_size:
            return
        after = tuple(records[-1])[:key]


async def _fetch(
    statement: str, values: Sequence[Any], connection: Connection
) -> Sequence[Sequence[Any]]:
    return await connection.fetch(_SQL[statement], *values)
