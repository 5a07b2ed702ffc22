"""Background tasks: they end with a context, and outlive their failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

import structlog

from prefactor_server.domain.errors import Refusal
from prefactor_server.json_log import trace_of

_log = structlog.get_logger("prefactor_server")


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
    await asyncio.wait([task])


async def repeat(
    step: Callable[[], Awaitable[float]],
    *,
    task: str,
    retry_seconds: float = 1.0,
    max_retry_seconds: float = 60.0,
) -> NoReturn:
    """Do a step, pause for the seconds that it returns, and do it again, until cancelled.

    A step that fails is tried again after ``retry_seconds``, and then at intervals that double up
    to ``max_retry_seconds``. The log says so with the name of the task, once for equal failures.
    """
    retry = retry_seconds
    logged: object = None
    while True:
        try:
            pause = await step()
        except Exception as error:
            if _is_cancelled():
                # The step failed while it was ending, and has hidden its cancellation.
                raise asyncio.CancelledError from error
            # The other tasks and the next step go on.
            pause, retry = retry, min(2 * retry, max_retry_seconds)
            failure = error.message if isinstance(error, Refusal) else trace_of(error)
            if failure != logged:
                _log_failure(task, failure)
            logged = failure
        else:
            retry, logged = retry_seconds, None
        await asyncio.sleep(pause)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _log_failure(task: str, failure: str | list[str]) -> None:
    if isinstance(failure, str):
        _log.warning("background_task_failed", task=task, reason=failure)
    else:  # a bug
        _log.error("background_task_failed", task=task, trace=failure)
