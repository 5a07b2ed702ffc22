"""Cuts the connections of callers that stopped taking their answers.

What counts is the time since a caller last took something: one that is slow is served to the end.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Collection
from typing import Final, Protocol

import structlog

_CHECKS_PER_TIMEOUT: Final = 4
"""How often a connection is looked at before it is cut."""

_log = structlog.get_logger("prefactor_server")


class HasTransport(Protocol):
    """What has a transport."""

    transport: asyncio.Transport


async def abort_stalled(connections: Collection[HasTransport], seconds: int) -> None:
    """Cut every connection that has something to send and sends nothing for so long; 0 cuts none.

    Args:
        connections: the open connections, at any time.
        seconds: how long a caller may take nothing.
    """
    loop = asyncio.get_running_loop()
    previous: dict[HasTransport, tuple[int, float]] = {}
    while seconds:
        await asyncio.sleep(seconds / _CHECKS_PER_TIMEOUT)
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


def unsent_bytes(transport: asyncio.Transport) -> int:
    """How many bytes of answers the caller has not taken; 0 when none of them are held here.

    Those in the system's buffer count too: there are megabytes of them before a third of it is
    free, which is when the system takes more of ours.
    """
    held = transport.get_write_buffer_size()
    if not held:
        return 0
    try:
        number = transport.get_extra_info("socket").fileno()
        (queued,) = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
    except OSError:
        # Not every system tells it of a socket; then only what is held here shows progress.
        queued = 0
    return held + int(queued)
