"""Aborts connections whose client stopped reading its response.

A connection is stalled if its client has read nothing for some time. A slow client is not aborted.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Collection
from typing import Final, Protocol

import structlog

from prefactor_server.background import repeat

_CHECKS_PER_TIMEOUT: Final = 4
"""How many times a connection is checked within the timeout."""

_log = structlog.get_logger("prefactor_server")


class HasTransport(Protocol):
    """Anything with a transport."""

    transport: asyncio.Transport


async def abort_stalled(connections: Collection[HasTransport], seconds: int) -> None:
    """Abort every connection whose client reads none of the pending data for ``seconds``.

    Args:
        connections: the open connections, as a live collection.
        seconds: how long a client may read nothing; 0 disables the check.
    """
    if not seconds:
        return
    loop = asyncio.get_running_loop()
    previous: dict[HasTransport, tuple[int, float]] = {}

    async def step() -> float:
        nonlocal previous
        now = loop.time()
        stalled: dict[HasTransport, tuple[int, float]] = {}
        for connection in tuple(connections):
            unsent = unsent_bytes(connection.transport)
            if not unsent:
                continue
            before, since = previous.get(connection, (0, now))
            stalled[connection] = (unsent, since if unsent == before else now)
            if unsent == before and now - since >= seconds:
                _log.info("caller_stalled", unsent_bytes=unsent)
                connection.transport.abort()
        previous = stalled
        return seconds / _CHECKS_PER_TIMEOUT

    await repeat(step, task="stalled_connections")


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Return how many bytes of responses the client has not read; 0 if the transport has none.

    The kernel's send buffer counts too. It holds megabytes, and accepts more only when a third of
    it is free, so the transport's buffer alone would show no progress for a slow client.
    """
    held = transport.get_write_buffer_size()
    if not held:
        return 0
    try:
        number = transport.get_extra_info("socket").fileno()
        (queued,) = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
    except OSError:
        # Not every system reports it; then only the transport's buffer shows progress.
        queued = 0
    return held + int(queued)
