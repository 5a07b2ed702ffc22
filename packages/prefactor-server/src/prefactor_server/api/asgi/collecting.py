"""The body of a large response, built in a thread and counted while it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from prefactor_server.http.memory_budget import Lease

PART_BYTES: Final = 1024 * 1024


async def collect(pieces: Iterator[bytes], memory: Lease) -> list[bytes]:
    """Return the pieces of a body, which ``memory`` holds then instead of what it held before.

    Raises:
        BudgetExhausted: the body does not fit into the budget. At most a megabyte and a piece were
            produced that it did not count.
    """
    body: list[bytes] = []
    while part := await asyncio.to_thread(_next_part, pieces):
        memory.take(sum(map(len, part)))
        body += part
    memory.shrink(sum(map(len, body)))
    return body


def _next_part(pieces: Iterator[bytes]) -> list[bytes]:
    """Return some pieces, so that a thread has more to do than it takes to hand it over."""
    part: list[bytes] = []
    size = 0
    for piece in pieces:
        part.append(piece)
        size += len(piece)
        if size >= PART_BYTES:
            break
    return part
