"""Announcements of commits between servers on one database, with LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

import structlog

from prefactor_server.domain.errors import SettingError
from prefactor_server.storage.migration import DatabaseError
from prefactor_server.storage.postgres.connection import connect
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.failures import is_lost

_CHANNEL: Final = "prefactor_commits"
_NOTIFY: Final = "SELECT pg_notify($1, $2)"
_RECONNECT_SECONDS: Final = 2.0

_log = structlog.get_logger("prefactor_server")


class Announcements:
    """Announces this server's commits, and listens for those of other servers.

    Announcements may be lost, so their listeners also poll.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = os.urandom(8).hex()

    async def announce(self, connection: Connection) -> None:
        """Announce commits, in a separate transaction."""
        await connection.execute(_NOTIFY, _CHANNEL, self._name)

    async def listen(self, callback: Callable[[], None]) -> None:
        """Call a function for each announcement of another server, until cancelled."""
        while True:
            try:
                await self._listen(callback)
            except (DatabaseError, SettingError) as error:
                _log.info("announcements_not_received", reason=str(error))
            except Exception as error:
                if not is_lost(error):
                    raise
                _log.info("announcements_not_received", reason=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self, callback: Callable[[], None]) -> None:
        def on_notification(_connection: object, _pid: int, _channel: str, name: object) -> None:
            if name != self._name:
                callback()

        lost = asyncio.Event()
        connection = await connect(self._url)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(_CHANNEL, on_notification)
            # Announcements during the interruption were missed.
            callback()
            await lost.wait()
        finally:
            connection.terminate()
