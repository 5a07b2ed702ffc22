"""One batch: load, decide, write, and retry when a step fails.

Loading and writing are one statement each. No transaction is open while decisions are made, so
no server blocks another. Instead, the rows a decision was based on are checked as it is written:

* new rows are guarded by unique indexes: a second server with the same key or id waits for the
  first one's commit, then fails, decides again and finds the row;
* changed rows are guarded by their revision, and all rows of a run by a lock on the run.

When a connection breaks during a write, the outcome is unknown. Every batch therefore inserts a
receipt row. After a lost connection, the server tries to insert the same receipt, together with a
row that marks the batch as given up. If that succeeds, the batch was not stored and never will be.
If the receipt is a duplicate, the batch was stored, unless the mark exists. Then an earlier attempt
to give the batch up had succeeded, but its answer was lost too.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from prefactor_server.domain.change import current_position
from prefactor_server.storage.base import Decide, Needs
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.failures import (
    contended,
    is_conflict,
    is_duplicate,
    is_lost,
    refusal,
    unknown_outcome,
    unreachable,
)
from prefactor_server.storage.postgres.feed import reached
from prefactor_server.storage.postgres.load import load
from prefactor_server.storage.postgres.write import Tuples, arguments
from prefactor_server.storage.postgres.write_function import write_function

T = TypeVar("T")

# Each conflict means that another server's batch committed; no row conflicts often.
_MAX_CONFLICTS: Final = 10
_GIVE_UP: Final = "INSERT INTO write_receipt (id) VALUES ($1), ($2)"
_IS_GIVEN_UP: Final = "SELECT EXISTS (SELECT FROM write_receipt WHERE id = $1)"


class _Written(NamedTuple):
    """The outcome of a batch: its position, or the error in ``unclear`` if the connection broke."""

    receipt: uuid.UUID
    position: int | None
    unclear: Exception | None = None


async def transact(pool: RetryingPool, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
    """See ``Storage.transact``.

    Raises:
        Contended: other servers won every attempt; nothing was changed.
        OutcomeUnknown: the connection was lost during the commit, and did not come back in time.
        Unavailable: the database cannot be reached, or cannot write now.
    """
    current = current_position()
    retries = _Retries(pool)
    while True:
        try:
            async with pool.connection() as connection:
                loaded = await load(connection, needs)
                decided = decide(loaded.snapshots)
                changes = arguments(loaded)
                if changes is None:
                    # What it repeats was committed earlier, at a position that is not stored.
                    if current is not None:
                        current.advance(await reached(connection))
                    return decided
                written = await _write(connection, changes)
        except Exception as error:  # noqa: BLE001 - it is raised again unless it is known
            await retries.wait_or_raise(error)
        else:
            position = written.position
            if written.unclear is not None:
                position = await _stored_position(pool, written.receipt, written.unclear)
            if position is not None:
                if current is not None:
                    current.advance(position)
                return decided


class _Retries:
    """The retries of one batch: conflicts counted, and time left for a lost connection."""

    def __init__(self, pool: RetryingPool) -> None:
        self._pool = pool
        self._budget = pool.retry_budget()
        self._conflicts = 0

    async def wait_or_raise(self, error: Exception) -> None:
        """Wait before the next attempt, or raise the error for the caller."""
        if (refused := refusal(error)) is not None:
            raise refused from error
        if is_conflict(error):
            self._conflicts += 1
            if self._conflicts == _MAX_CONFLICTS:
                raise contended() from error
            await self._pool.back_off(self._conflicts - 1)
        elif not is_lost(error):
            raise error
        elif not await self._budget.wait():
            raise unreachable() from error


async def _write(connection: Connection, changes: Sequence[Tuples | None]) -> _Written:
    receipt = uuid.uuid4()
    try:
        position = await connection.fetchval(write_function().call, receipt, *changes)
    except Exception as error:
        if not is_lost(error):
            raise
        driver.discard(connection)
        return _Written(receipt, None, error)
    return _Written(receipt, position)


async def _stored_position(pool: RetryingPool, receipt: uuid.UUID, broken: Exception) -> int | None:
    """Return a position that contains a batch, or None if it can no longer be committed."""
    budget = pool.retry_budget()
    given_up = uuid.uuid4()
    while True:
        try:
            async with pool.connection() as connection:
                stored = await _stored_or_given_up(connection, receipt, given_up)
                return await reached(connection) if stored else None
        except Exception as error:  # noqa: BLE001 - after any error, the outcome stays unknown
            if not is_lost(error) or not await budget.wait():
                raise unknown_outcome() from broken


async def _stored_or_given_up(
    connection: Connection, receipt: uuid.UUID, given_up: uuid.UUID
) -> bool:
    """Return whether a batch is stored; if it is not, mark it as given up."""
    try:
        # Blocks while the batch is still in progress.
        await connection.execute(_GIVE_UP, receipt, given_up)
    except Exception as error:
        if not is_duplicate(error):
            raise
        return not await connection.fetchval(_IS_GIVEN_UP, given_up)
    return False
