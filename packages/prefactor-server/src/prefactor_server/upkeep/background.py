"""Background tasks that end with a context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def in_background(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Run coroutines in the background until the context exits.

    They are cancelled one at a time, the last first, and each may finish its current step.
    """
    async with AsyncExitStack() as stack:
        for coroutine in work:
            stack.push_async_callback(_cancel, asyncio.create_task(coroutine))
        yield


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
