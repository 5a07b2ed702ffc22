"""Heartbeats of runs in a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.silence import KEEP_US, MAX_DOWN_US, Heartbeat, Uptime
from prefactor_server.storage.sql import load_sql
from prefactor_server.storage.sqlite.tables import AGENT_INSTANCE
from prefactor_server.storage.sqlite.upkeep.verify import RunOnThread

_COLUMNS: Final = ", ".join(f"run.{column}" for column in AGENT_INSTANCE.columns)
_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{columns}", _COLUMNS)
    for name, text in load_sql("prefactor_server.storage.sqlite.sql", "heartbeats.sql").items()
}


class SqliteHeartbeats:
    """See ``Heartbeats``.

    ``on_writer`` runs work on the writer thread, inside a transaction; ``on_reader`` on a reader
    thread.
    """

    def __init__(self, on_writer: RunOnThread, on_reader: RunOnThread) -> None:
        self._on_writer = on_writer
        self._on_reader = on_reader

    async def record(self, heartbeats: Sequence[Heartbeat]) -> None:
        """See ``Heartbeats.record``."""
        await self._on_writer(lambda connection: connection.executemany(_SQL["record"], heartbeats))

    async def is_waiting(self) -> bool:
        """See ``Heartbeats.is_waiting``."""
        return await self._on_reader(
            lambda connection: bool(connection.execute(_SQL["is_waiting"]).fetchone()[0])
        )

    async def extend_uptime(self, now: int) -> Sequence[Uptime]:
        """See ``Heartbeats.extend_uptime``."""

        def extend(connection: sqlite3.Connection) -> Sequence[Uptime]:
            extended = connection.execute(
                _SQL["uptime.extend"], {"now": now, "max_down": MAX_DOWN_US}
            )
            if not extended.rowcount:
                connection.execute(_SQL["uptime.begin"], {"now": now})
                connection.execute(_SQL["uptime.forget"], {"keep_since": now - KEEP_US})
            return [Uptime._make(record) for record in connection.execute(_SQL["uptime.all"])]

        return await self._on_writer(extend)

    async def silent(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """See ``Heartbeats.silent``."""
        return await self._runs("silent", before=before, limit=limit)

    async def abandoned(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """See ``Heartbeats.abandoned``."""
        return await self._runs("abandoned", before=before, limit=limit)

    async def unwritten(
        self, account_id: str, before: int, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """See ``Heartbeats.unwritten``."""
        return await self._runs(
            "unwritten", account_id=account_id, before=before, after=after, limit=limit
        )

    async def forget(self, before: int, marked_before: int, limit: int) -> int:
        """See ``Heartbeats.forget``."""
        parameters = {"before": before, "marked_before": marked_before, "limit": limit}
        return await self._on_writer(
            lambda connection: connection.execute(_SQL["forget"], parameters).rowcount
        )

    async def _runs(self, statement: str, **parameters: int | str) -> Sequence[AgentInstance]:
        return await self._on_reader(
            lambda connection: AGENT_INSTANCE.rows(connection.execute(_SQL[statement], parameters))
        )
