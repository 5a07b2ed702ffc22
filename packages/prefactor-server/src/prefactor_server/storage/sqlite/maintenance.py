"""The maintenance of a database file."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs work on one of the storage's threads, with a connection."""

    def __call__(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Return what the work returns."""
        ...


class SqliteMaintenance:
    """See ``Maintenance``.

    ``on_writer`` runs work on the one thread that writes, inside a transaction that it may roll
    back; ``on_reader`` on one that reads.
    """

    def __init__(self, on_writer: Run, on_reader: Run) -> None:
        self._on_writer = on_writer
        self._on_reader = on_reader

    async def check_writable(self) -> None:
        """See ``Maintenance.check_writable``."""
        await self._on_writer(_touch)


def _touch(connection: sqlite3.Connection) -> None:
    # Only a change tells: on a file that is read-only, even BEGIN IMMEDIATE succeeds.
    connection.execute("SAVEPOINT touch")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("ROLLBACK TO touch")
