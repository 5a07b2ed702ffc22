"""Deletes all runs of a partition, and truncates it.

The empty partition stays, so that the ranges have no gaps; see ``partitions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.pfid import time_of_prefix
from prefactor_server.domain.runs.retention import (
    Deletion,
    EndedRun,
    Partition,
    PartitionRun,
    Pruned,
)
from prefactor_server.domain.times import DAY_US
from prefactor_server.storage.maintenance import PARTITION_RUNS
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.upkeep.partitions import END, PARTITIONED, Range, ranges
from prefactor_server.storage.postgres.upkeep.prune import (
    delete_spans,
    delete_without_spans,
    lock,
)
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "partitions.sql")
# A lock was held for too long, a statement took too long, there was a deadlock, or the partition
# was merged with another. The runs are then deleted row by row.
_IN_THE_WAY: Final = frozenset({"55P03", "57014", "40P01", "42P01"})


class _Changed(Exception):
    """Rolls back the deletion of a partition that has changed meanwhile."""


async def partitions(connection: Connection) -> Sequence[Partition]:
    """See ``Maintenance.partitions``. Returns partitions that both tables have."""
    spans, payloads = [
        {_name(table.name, one): one for one in await ranges(connection, table)}
        for table in PARTITIONED
    ]
    return [
        _partition(name, one)
        for name, one in spans.items()
        if one.high != END and name in payloads and payloads[name][1:] == one[1:]
    ]


async def runs_of_partition(
    partition: Partition, connection: Connection
) -> Sequence[PartitionRun] | None:
    """See ``Maintenance.runs_of_partition``."""
    sql = _SQL["empty.runs"].format(name=partition.name)
    try:
        records = await connection.fetch(sql, PARTITION_RUNS + 1)
    except Exception as error:
        if driver.sqlstate(error) in _IN_THE_WAY:
            return None
        raise
    found: list[PartitionRun] = []
    for account_id, *run, spans in records:
        one = EndedRun(*run)
        has_ended = run[EndedRun._fields.index("ended_at")] is not None
        if one.is_held or not has_ended:
            return None
        found.append(PartitionRun(account_id, one, spans))
    return found if len(found) <= PARTITION_RUNS else None


async def empty_partition(
    partition: Partition,
    runs: Sequence[PartitionRun],
    deletions: Sequence[Deletion],
    connection: Connection,
) -> Pruned | None:
    """See ``Maintenance.empty_partition``."""
    try:
        async with connection.transaction():
            if not await connection.fetchval(_SQL["turn"]):
                return None
            return await _empty(connection, partition, runs, deletions)
    except _Changed:
        return None
    except Exception as error:
        if driver.sqlstate(error) in _IN_THE_WAY:
            return None
        raise


async def _empty(
    connection: Connection,
    partition: Partition,
    runs: Sequence[PartitionRun],
    deletions: Sequence[Deletion],
) -> Pruned:
    by_key = {(one.account_id, one.run.id): one for one in runs}
    # While a run is locked, no server adds or deletes spans of it.
    for deletion in deletions:
        if len(await lock(connection, deletion)) != len(deletion.run_ids):
            raise _Changed
    left, total = 0, Pruned()
    for deletion in deletions:
        of_deletion = [by_key[deletion.account_id, run_id] for run_id in deletion.run_ids]
        whole = [one.run.id for one in of_deletion if one.spans == one.run.spans]
        # Few runs have spans in other partitions too. Theirs are deleted row by row.
        others = [one.run.id for one in of_deletion if one.spans != one.run.spans]
        spans = sum(one.spans for one in of_deletion if one.spans == one.run.spans)
        size = await _payload_bytes(
            connection, partition, deletion.account_id, whole, is_all=len(whole) == len(runs)
        )
        pruned = Pruned(len(whole), spans, size)
        if others:
            pruned = pruned.plus(await delete_spans(connection, deletion.account_id, others))
        await delete_without_spans(connection, deletion, pruned)
        left += spans
        total = total.plus(pruned)
    # The table locks come last, because everything before may take a while.
    lock_tables = _SQL["empty.lock"].format(name=partition.name)
    await connection.execute(f"{_SQL['patience']};\n{lock_tables}")
    if await connection.fetchval(_SQL["empty.count"].format(name=partition.name)) != left:
        raise _Changed
    await connection.execute(_SQL["empty.truncate"].format(name=partition.name))
    return total


async def _payload_bytes(
    connection: Connection,
    partition: Partition,
    account_id: str,
    run_ids: Sequence[str],
    *,
    is_all: bool,
) -> int:
    """Return the bytes of the payloads of runs, whose spans are all in the partition."""
    size: int | None = None
    if is_all:
        # This reads one table, in order, and joins nothing.
        size = await connection.fetchval(_SQL["empty.payload_bytes"].format(name=partition.name))
    if size is None:
        sql = _SQL["empty.payload_bytes_of"].format(name=partition.name)
        size = await connection.fetchval(sql, account_id, run_ids)
    return size or 0


def _name(table: str, one: Range) -> str:
    return one.partition.removeprefix(f"{table}_")


def _partition(name: str, one: Range) -> Partition:
    begin, end = time_of_prefix(one.low), time_of_prefix(one.high)
    return Partition(name, one.low, one.high, end, end - begin <= DAY_US)
