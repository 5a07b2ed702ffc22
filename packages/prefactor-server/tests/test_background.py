"""Background tasks: they go on after a failure, and end with their context."""

import asyncio
from collections.abc import Iterator

import structlog

from prefactor_server.background import in_background, repeat
from prefactor_server.domain.errors import Unavailable


async def test_a_failed_step_is_tried_again_and_logged_once() -> None:
    """Every failure is followed by another try; equal failures in a row give one line."""
    outcomes: Iterator[Exception | None] = iter(
        [
            RuntimeError("a bug"),
            RuntimeError("the same, which the log does not quote"),
            Unavailable("the disk is full"),
            Unavailable("the disk is full"),
            None,
            Unavailable("the disk is full"),
        ]
    )
    finished = asyncio.Event()

    async def step() -> float:
        outcome = next(outcomes, finished)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is finished:
            finished.set()
        return 0.0

    with structlog.testing.capture_logs() as logs:
        async with in_background([repeat(step, task="sweeping", retry_seconds=0.001)]):
            await asyncio.wait_for(finished.wait(), 60)

    assert {(entry["event"], entry["task"]) for entry in logs} == {
        ("background_task_failed", "sweeping")
    }
    assert [entry["log_level"] for entry in logs] == ["error", "warning", "warning"]
    assert "RuntimeError" in logs[0]["trace"]
    assert [entry.get("reason") for entry in logs[1:]] == ["the disk is full"] * 2
    assert "a bug" not in str(logs)


async def test_a_cancelled_step_that_fails_ends_its_task() -> None:
    """A database that cannot be reached at shut-down does not keep the server running."""
    begun = asyncio.Event()

    async def step() -> float:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Unavailable("the connection was lost") from None
        return 0.0

    task = asyncio.create_task(repeat(step, task="sweeping", retry_seconds=3600))
    await begun.wait()
    task.cancel()
    _, running = await asyncio.wait([task], timeout=1)
    task.cancel()

    assert not running
    assert task.cancelled()
