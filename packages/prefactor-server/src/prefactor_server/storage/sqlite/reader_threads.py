"""The threads that read a database file, each with a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

# Reads are short and mostly in memory. More threads would only compete for the interpreter.
_READERS: Final = 4


class ReaderThreads:
    """Runs reads on its threads. ``open_connection`` is called on first use in each of them."""

    def __init__(self, open_connection: Callable[[], sqlite3.Connection]) -> None:
        self._open_connection = open_connection
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def run(self, read: Callable[[], T]) -> T:
        """Run a read on one of the threads, or here within ``run_together``."""
        if getattr(self._local, "is_reading_together", False):
            return read()
        return await asyncio.get_running_loop().run_in_executor(self._pool, read)

    async def run_together(self, reads: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine that awaits only reads, on one thread.

        Each change of threads costs more than a small read, because the threads compete for the
        interpreter.
        """

        def run() -> T:
            self._local.is_reading_together = True
            try:
                return _result(reads())
            finally:
                self._local.is_reading_together = False

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def connection(self) -> sqlite3.Connection:
        """Return the connection of this thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open_connection()
            self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Wait for running reads, then close the connections."""
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()


def _result(reads: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits."""
    try:
        reads.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    reads.close()
    raise RuntimeError("Reads that run together may await nothing but reads of this database.")
