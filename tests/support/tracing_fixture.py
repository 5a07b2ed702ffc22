"""Traced functions of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from prefactor_recorder.span_types.registry import SpanTypes

types = SpanTypes()


@types.trace("add")
def add(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


@types.trace("add later")
async def add_later(a: int, b: int = 2) -> int:
    """Adds, after a while."""
    await asyncio.sleep(0)
    return a + b


@types.trace("count")
def count(limit: int) -> Iterator[int]:
    """Counts."""
    yield from range(limit)


@types.trace("count later")
async def count_later(limit: int) -> AsyncIterator[int]:
    """Counts, taking its time."""
    for number in range(limit):
        await asyncio.sleep(0)
        yield number
