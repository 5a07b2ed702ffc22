"""The threads that use a database file: one that writes, and a few that read.

``Threads`` is an executor for coroutines only. A standard executor makes a future with a lock and a
condition for each call, and copies its result to a future of the event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

# Reads are short and mostly in memory. More threads would only compete for the interpreter.
_READERS: Final = 4


class Threads:
    """Up to ``number`` threads, started when needed, that run work in the order of its arrival."""

    def __init__(self, number: int, name: str) -> None:
        self._number = number
        self._name = name
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        # No work may follow the signals that end the threads.
        self._closing = threading.Lock()
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of work on one of the threads.

        If the caller is cancelled, work that has not begun is left undone.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            result, error = (None, None) if future.cancelled() else _attempt(work)
            # The loop may have been closed, and then nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settle, future, result, error)

        self._accept(run)
        return await future

    def close(self) -> None:
        """Finish the work that was accepted, and end the threads."""
        with self._closing:
            self._closed = True
            for _ in self._threads:
                self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _accept(self, run: Callable[[], None]) -> None:
        with self._closing:
            if self._closed:
                raise RuntimeError(f"the threads {self._name} are closed")
            if len(self._threads) <= min(self._unfinished, self._number - 1):
                self._start()
            self._work.put(run)
            self._unfinished += 1

    def _settle(
        self, future: asyncio.Future[Any], result: object, error: BaseException | None
    ) -> None:
        self._unfinished -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _start(self) -> None:
        # A daemon does not keep a process alive that failed before it closed its files.
        thread = threading.Thread(target=self._run_all, name=self._name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run_all(self) -> None:
        while (run := self._work.get()) is not None:
            run()
            # What the work referred to must not be kept until the next.
            del run


def _attempt(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - its caller must receive any error
        return None, error


class ReaderThreads:
    """Runs reads on its threads. ``open_connection`` is called on first use in each of them."""

    def __init__(self, open_connection: Callable[[], sqlite3.Connection]) -> None:
        self._open_connection = open_connection
        self._threads = Threads(_READERS, "sqlite-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def run(self, read: Callable[[], T]) -> T:
        """Run a read on one of the threads, or here within ``run_together``."""
        if getattr(self._local, "is_reading_together", False):
            return read()
        return await self._threads.run(read)

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

        return await self._threads.run(run)

    def connection(self) -> sqlite3.Connection:
        """Return the connection of this thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open_connection()
            self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Wait for running reads, then close the connections."""
        self._threads.close()
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
