"""A batch: load, decide, write, and what to do when one of them does not go through.

Loading and writing are one statement each. No transaction is open while decisions are made, so
nothing of this server's can keep another waiting; instead, what was decided on is checked as it is
written:

* what must not be there yet is guarded by unique indexes: a second server with the same key or id
  waits for the first one's commit, then fails, decides again and finds it there;
* what changes is guarded by its revision, and everything of a run by a lock on the run.

A connection that breaks while a batch is written leaves open whether it was. Every batch carries a
receipt for that, a row of its own: whoever comes back looks for it by writing it. If that works,
the batch was not stored and never will be; if it is there already, the batch was stored.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from prefactor_server.storage.base import Decide, Needs
from prefactor_server.storage.postgres import driver
from prefactor_server.storage.postgres.connection import Link
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.failures import (
    contended,
    is_lost,
    is_raced,
    is_there_already,
    refusal,
    unknown_outcome,
    unreachable,
)
from prefactor_server.storage.postgres.load import load
from prefactor_server.storage.postgres.write import Tuples, arguments
from prefactor_server.storage.postgres.write_function import write_program

T = TypeVar("T")

# Each failed race means that another server's batch went through, and no row is raced for often.
_RACES: Final = 10
_CLAIM: Final = "INSERT INTO write_receipt (id) VALUES ($1)"


class _Written(NamedTuple):
    """What a batch decided; ``unclear`` when the connection broke while it was written."""

    receipt: uuid.UUID
    unclear: Exception | None


async def transact(link: Link, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
    """See ``Storage.transact``.

    Raises:
        Contended: other servers were faster every time; nothing was changed.
        OutcomeUnknown: the database was lost while it committed, and has not come back in time.
        Unavailable: the database cannot be reached, or cannot take writes now.
    """
    trouble = _Trouble(link)
    while True:
        try:
            async with link.connection() as connection:
                loaded = await load(connection, needs)
                decided = decide(loaded.snapshots)
                changes = arguments(loaded)
                if changes is None:
                    return decided
                written = await _write(connection, changes)
        except Exception as error:  # noqa: BLE001 - it is raised again unless it is known
            await trouble.outlast(error)
        else:
            if written.unclear is None or await _was_stored(link, written.receipt, written.unclear):
                return decided


class _Trouble:
    """What kept one batch from being stored so far, and how much of it is still put up with."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._patience = link.patience()
        self._races = 0

    async def outlast(self, error: Exception) -> None:
        """Wait before another attempt, or raise what the caller has to hear."""
        if (refused := refusal(error)) is not None:
            raise refused from error
        if is_raced(error):
            self._races += 1
            if self._races == _RACES:
                raise contended() from error
            await self._link.pause(self._races - 1)
        elif not is_lost(error):
            raise error
        elif not await self._patience.wait():
            raise unreachable() from error


async def _write(connection: Connection, changes: Sequence[Tuples]) -> _Written:
    receipt = uuid.uuid4()
    try:
        await connection.execute(write_program().call, receipt, *changes)
    except Exception as error:
        if not is_lost(error):
            raise
        driver.discard(connection)
        return _Written(receipt, error)
    return _Written(receipt, None)


async def _was_stored(link: Link, receipt: uuid.UUID, broken: Exception) -> bool:
    """Whether a batch was committed; if it was not, it cannot be any more."""
    patience = link.patience()
    while True:
        try:
            async with link.connection() as connection:
                # Waits for a batch that is still under way.
                await connection.execute(_CLAIM, receipt)
                return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the outcome stays unknown
            if is_there_already(error):
                return True
            if not is_lost(error) or not await patience.wait():
                raise unknown_outcome() from broken
