"""Heartbeats of runs in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.silence import KEEP_US, MAX_DOWN_US, Heartbeat, Uptime
from prefactor_server.storage.postgres.connection import RetryingPool
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.tables import AGENT_INSTANCE
from prefactor_server.storage.sql import load_sql

_COLUMNS: Final = ", ".join(f"run.{column}" for column in AGENT_INSTANCE.columns)
_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{columns}", _COLUMNS)
    for name, text in load_sql("prefactor_server.storage.postgres.sql", "heartbeats.sql").items()
}


class PostgresHeartbeats:
    """See ``Heartbeats``. A write is repeated if its connection was lost."""

    def __init__(self, writing: RetryingPool, reading: RetryingPool) -> None:
        self._writing = writing
        self._reading = reading

    async def record(self, heartbeats: Sequence[Heartbeat]) -> None:
        """See ``Heartbeats.record``."""
        columns = [list(column) for column in zip(*sorted(heartbeats), strict=True)]
        await self._writing.run(lambda connection: connection.execute(_SQL["record"], *columns))

    async def is_waiting(self) -> bool:
        """See ``Heartbeats.is_waiting``."""
        return bool(
            await self._reading.run(lambda connection: connection.fetchval(_SQL["is_waiting"]))
        )

    async def extend_uptime(self, now: int) -> Sequence[Uptime]:
        """See ``Heartbeats.extend_uptime``."""
        return await self._writing.run(partial(_extend_uptime, now))

    async def silent(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """See ``Heartbeats.silent``."""
        return await self._runs("silent", before, limit)

    async def abandoned(self, before: int, limit: int) -> Sequence[AgentInstance]:
        """See ``Heartbeats.abandoned``."""
        return await self._runs("abandoned", before, limit)

    async def unwritten(
        self, account_id: str, before: int, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """See ``Heartbeats.unwritten``."""
        return await self._runs("unwritten", account_id, before, after, limit)

    async def forget(self, before: int, marked_before: int, limit: int) -> int:
        """See ``Heartbeats.forget``; servers skip each other's slices."""
        status = await self._writing.run(
            lambda connection: connection.execute(_SQL["forget"], before, marked_before, limit)
        )
        return int(status.split()[-1])

    async def _runs(self, statement: str, *values: Any) -> Sequence[AgentInstance]:
        return AGENT_INSTANCE.rows(
            await self._reading.run(lambda connection: connection.fetch(_SQL[statement], *values))
        )


async def _extend_uptime(now: int, connection: Connection) -> Sequence[Uptime]:
    extended = await connection.execute(_SQL["uptime.extend"], now, MAX_DOWN_US)
    if extended == "UPDATE 0":
        await connection.execute(_SQL["uptime.begin"], now)
        await connection.execute(_SQL["uptime.forget"], now - KEEP_US)
    return [Uptime._make(record) for record in await connection.fetch(_SQL["uptime.all"])]
