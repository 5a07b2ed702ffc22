"""A DNS resolver that blocks the calling thread.

asyncio resolves names in an executor, but executors accept no work while the interpreter exits,
so the last records could not be delivered. Blocking is harmless here, because the event loop
belongs to the recorder alone.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver

from prefactor_recorder.locks import exit_lock

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult


class BlockingResolver(AbstractResolver):
    """Resolves with a blocking call of `socket.getaddrinfo`."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises `OSError` if there are none."""
        with exit_lock.waiting():
            found = socket.getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        return [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": int(address[1]),
                "family": kind,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Do nothing; there is nothing to close."""
