"""Background tasks that end with a context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog

from prefactor_server.json_log import trace_of

_log = structlog.get_logger("prefactor_server")


@asynccontextmanager
async def in_background(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Run coroutines in the background until the context exits.

    They are cancelled one at a time, the last first, and each may finish its current step. A
    coroutine that fails is logged, and the others go on.
    """
    async with AsyncExitStack() as stack:
        for coroutine in work:
            task = asyncio.create_task(coroutine)
            task.add_done_callback(_log_failure)
            stack.push_async_callback(_cancel, task)
        yield


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _log_failure(task: asyncio.Task[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    name = getattr(task.get_coro(), "__qualname__", "")
    _log.error("background_task_failed", task=name, trace=trace_of(error))
