"""A storage on its own event loop and thread, as every server has one."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from rows import ENVIRONMENT, NOW, STAGING

from prefactor_server.storage.base import Storage
from prefactor_server.storage.sqlite.backend import SqliteStorage

T = TypeVar("T")


class Replica:
    """One server's storage, for synchronous tests."""

    storage: Storage

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, Storage]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.storage = self.do(opening())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        """Close the storage and end the thread."""
        try:
            self.do(self.storage.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class Subject:
    """A database of either kind, in which every example has its own account."""

    def __init__(
        self,
        replica: Replica,
        execute: Callable[[str], Awaitable[Any]],
        query: Callable[[str], Awaitable[list[tuple[Any, ...]]]],
    ) -> None:
        self.replica = replica
        self._execute = execute
        self._query = query

    def new_account(self, account_id: str) -> None:
        """An account with a default and a staging environment."""
        self.replica.do(self._new_account(account_id))

    async def _new_account(self, account_id: str) -> None:
        account = f"'{account_id}', 'A', 1, {NOW}, {NOW}"
        await self._execute(f"INSERT INTO account VALUES ({account})")  # noqa: S608 - ours
        columns = "id, account_id, name, is_default, inserted_at, updated_at"
        for name, default in ((ENVIRONMENT, "true"), (STAGING, "false")):
            values = f"'{name}', '{account_id}', 'E', {default}, {NOW}, {NOW}"
            await self._execute(f"INSERT INTO environment ({columns}) VALUES ({values})")  # noqa: S608

    def rows(self, account_id: str, kinds: dict[str, type[Any]]) -> dict[str, list[Any]]:
        """Return every row of an account by table, without the account's name."""
        return self.replica.do(self._rows(account_id, kinds))

    async def _rows(self, account_id: str, kinds: dict[str, type[Any]]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for table, kind in kinds.items():
            columns = ", ".join(f'"{column}"' for column in kind._fields)
            where = f"WHERE account_id = '{account_id}'"
            records = await self._query(f"SELECT {columns} FROM {table} {where}")  # noqa: S608
            found[table] = sorted(
                (
                    tuple("" if value == account_id else _plain(value) for value in record)
                    for record in records
                ),
                key=repr,
            )
        return found


def _plain(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


def embedded(storage: SqliteStorage) -> tuple[Callable[[str], Any], Callable[[str], Any]]:
    """Give a test access to the rows of the embedded database, through its one writer."""

    async def execute(sql: str) -> None:
        await storage._write(lambda: storage._writer.execute(sql))

    async def query(sql: str) -> list[tuple[Any, ...]]:
        return await storage._write(lambda: storage._writer.execute(sql).fetchall())

    return execute, query
