"""The maintenance of a database that servers may be using meanwhile."""

from __future__ import annotations

from typing import Final

from prefactor_server.domain.errors import Unavailable
from prefactor_server.storage.postgres.connection import Link
from prefactor_server.storage.postgres.driver import Connection

_READ_ONLY: Final = "SELECT current_setting('transaction_read_only') = 'on'"


class PostgresMaintenance:
    """See ``Maintenance``."""

    def __init__(self, writing: Link, reading: Link) -> None:
        self._writing = writing
        self._reading = reading

    async def check_writable(self) -> None:
        """See ``Maintenance.check_writable``."""
        await self._writing.repeatedly(_check_writable)


async def _check_writable(connection: Connection) -> None:
    if await connection.fetchval(_READ_ONLY):
        raise Unavailable("The database takes no writes: connect to the primary server")
