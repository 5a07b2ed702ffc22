"""Creates the partitions of spans and payloads by time, while servers read and write.

Each table has a DEFAULT partition and consecutive ranges without gaps. A range begins with the time
in an id. The last range is open: it ends in 2039, when ids no longer begin with ``01``. A new
partition is created by ending the last range ahead of time and beginning another.

Rows with a time in the future, from clients whose clocks are ahead, are therefore in the last
partition. The rows of the new range move into it in the same transaction. The DEFAULT partition has
the rows that were stored before there were ranges, and ids that clients made up. A constraint says
that it has no row of any range, so that PostgreSQL does not read it whenever a range is added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.pfid import id_prefix, time_of_prefix
from prefactor_server.domain.times import DAY_US, SECOND_US
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.failures import is_conflict, is_lost
from prefactor_server.storage.sql import load_sql

_SQL: Final[Mapping[str, str]] = load_sql("prefactor_server.storage.postgres.sql", "partitions.sql")
# 2039-09-07. Later rows go to the DEFAULT partition. No UUID is in a range that begins after 2025.
END: Final = "02"
_RANGE: Final = re.compile(r"FOR VALUES FROM \('(\w+)'\) TO \('(\w+)'\)")


class Partitioned(NamedTuple):
    """A partitioned table, the column of its ranges, and the options of its partitions.

    ``estimates`` says of columns how many values the planner should expect.
    """

    name: str
    key: str
    options: str
    estimates: str


PARTITIONED: Final = (
    Partitioned(
        "agent_span",
        "id",
        " WITH (fillfactor = 90)",
        # As in migration 0030, which says why.
        "ALTER COLUMN agent_instance_id SET (n_distinct = -0.01), "
        "ALTER COLUMN agent_id SET (n_distinct = 1000)",
    ),
    Partitioned("span_payload", "span_id", "", ""),
)


class Range(NamedTuple):
    """A partition and the range of its ids, from ``low`` to before ``high``."""

    partition: str
    low: str
    high: str


async def begin(connection: Connection, now: int) -> None:
    """Give each table its first range, unless it has one.

    A DEFAULT partition with rows is read once, under a lock. The ranges of such tables begin
    tomorrow, so that few rows move: those of clients whose clocks are ahead.
    """
    if await ranges(connection, PARTITIONED[0]):
        return
    async with connection.transaction():
        for table in PARTITIONED:
            await _run(connection, "lock", table=table.name)
        is_empty = await _is_empty(connection, f"{PARTITIONED[0].name}_default")
        today = now - now % DAY_US
        start = today if is_empty else today + DAY_US
        if id_prefix(start) < END:
            for table in PARTITIONED:
                await _begin(connection, table, start)


async def _begin(connection: Connection, table: Partitioned, start: int) -> None:
    first = _last_range(table, start)
    await _create(connection, table, first.partition)
    await _move(connection, table, f"{table.name}_default", first)
    await _run(connection, "exclude", table=table.name, key=table.key, low=first.low, high=END)
    await _attach(connection, table, first)


async def extend(connection: Connection, now: int, days: int) -> Sequence[str]:
    """Create partitions of ``days`` days that are due, and return their names.

    The last range of each table then begins more than ``days`` from now. Past partitions that are
    empty are merged. Does nothing while another server does this.

    Raises:
        Unavailable: another statement blocks this one, or PostgreSQL refuses.
    """
    made: list[str] = []
    if not await connection.fetchval(_SQL["extend.begin"]):
        return made
    try:
        for table in PARTITIONED:
            while (name := await _extend(connection, table, now, days * DAY_US)) is not None:
                made.append(name)
            while await _merge(connection, table, now):
                pass
    except Exception as error:
        if driver.sqlstate(error) is None or is_lost(error) or is_conflict(error):
            raise
        raise Unavailable(f"PostgreSQL made no partition: {error}") from error
    finally:
        await connection.execute(_SQL["extend.end"])
    return made


async def ranges(connection: Connection, table: Partitioned) -> list[Range]:
    """Return the ranges of a table, in order."""
    found: list[Range] = []
    for partition, bound in await connection.fetch(_SQL["ranges"], table.name):
        matched = _RANGE.fullmatch(bound)
        if matched is not None:
            found.append(Range(partition, matched[1], matched[2]))
    return found


async def _extend(connection: Connection, table: Partitioned, now: int, length: int) -> str | None:
    """Create one partition, if it is due, in a short transaction, so that nobody waits long."""
    async with connection.transaction():
        if not await _take_turn(connection):
            return None
        known = await ranges(connection, table)
        if not known or known[-1].low > id_prefix(now + length):
            return None
        last = known[-1]
        # The tables have the same ranges, also if a server was killed between the two.
        others = [one.low for one in await ranges(connection, PARTITIONED[0])]
        planned = next((low for low in others if low > last.low), None)
        end = _end_of(last, now, length) if planned is None else time_of_prefix(planned)
        added = _last_range(table, end)
        if added.low >= END:
            return None
        await _create(connection, table, added.partition)
        await _run(connection, "detach", table=table.name, partition=last.partition)
        await _move(connection, table, last.partition, added)
        await _attach(connection, table, last._replace(high=added.low))
        await _attach(connection, table, added)
        return added.partition


async def _merge(connection: Connection, table: Partitioned, now: int) -> bool:
    """Merge two past partitions that are empty, so that their number stays small."""
    async with connection.transaction():
        if not await _take_turn(connection):
            return False
        known = [
            one for one in await ranges(connection, table) if one.high < id_prefix(now - DAY_US)
        ]
        for pair in pairwise(known):
            if await _are_empty(connection, pair):
                for one in pair:
                    await _run(connection, "detach", table=table.name, partition=one.partition)
                if not await _are_empty(connection, pair):
                    raise Unavailable("An old partition is written to")
                await _run(connection, "drop", partition=pair[0].partition, other=pair[1].partition)
                await _create(connection, table, pair[0].partition)
                await _attach(connection, table, pair[0]._replace(high=pair[1].high))
                return True
        return False


async def _take_turn(connection: Connection) -> bool:
    """Return whether no other server changes partitions until this transaction ends."""
    await connection.execute(_SQL["patience"])
    return bool(await connection.fetchval(_SQL["turn"]))


async def _are_empty(connection: Connection, pair: tuple[Range, Range]) -> bool:
    return all([await _is_empty(connection, one.partition) for one in pair])


async def _is_empty(connection: Connection, table: str) -> bool:
    return bool(await connection.fetchval(_SQL["is_empty"].format(table=table)))


def _last_range(table: Partitioned, start: int) -> Range:
    """Return the last range, which begins at a time."""
    day = datetime.fromtimestamp(start // SECOND_US, UTC)
    return Range(f"{table.name}_{day:%Y_%m_%d}", id_prefix(start), END)


def _end_of(last: Range, now: int, length: int) -> int:
    """Return when the last range should end, which is never in the past."""
    start = time_of_prefix(last.low)
    return start + length * max(1, (now - start) // length + 1)


async def _create(connection: Connection, table: Partitioned, partition: str) -> None:
    await _run(connection, "create", table=table.name, partition=partition, options=table.options)
    if table.estimates:
        await _run(connection, "estimate", partition=partition, estimates=table.estimates)


async def _move(connection: Connection, table: Partitioned, source: str, to: Range) -> None:
    await _run(connection, "move", key=table.key, source=source, **to._asdict())


async def _attach(connection: Connection, table: Partitioned, one: Range) -> None:
    await _run(connection, "attach", table=table.name, **one._asdict())


async def _run(connection: Connection, statement: str, **names: str) -> None:
    await connection.execute(_SQL[statement].format(**names))
