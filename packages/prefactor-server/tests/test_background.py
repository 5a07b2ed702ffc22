"""Background tasks: how the failure of one affects the others."""

import asyncio

import structlog

from prefactor_server.upkeep import in_background


async def test_a_failed_task_is_logged_at_once_and_stops_no_other() -> None:
    """A failed task is logged while the server runs, and the other tasks end as usual."""
    ended: list[str] = []

    async def fail() -> None:
        raise RuntimeError("a bug")

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("work")

    with structlog.testing.capture_logs() as logs:
        async with in_background([work(), fail()]):
            for _ in range(3):
                await asyncio.sleep(0)
            entries = list(logs)
            assert ended == []

    (entry,) = entries
    assert (entry["event"], entry["log_level"]) == ("background_task_failed", "error")
    assert entry["task"].endswith("fail")
    assert "RuntimeError" in str(entry["trace"])
    assert ended == ["work"]
