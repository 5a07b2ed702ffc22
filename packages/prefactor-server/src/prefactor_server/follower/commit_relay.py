"""Announces commits to other servers: at most every 200 ms, outside of transactions."""

from __future__ import annotations

from typing import Final

from prefactor_server.background import repeat
from prefactor_server.follower import CommitSignal
from prefactor_server.storage.feed import Feed

_PAUSE_SECONDS: Final = 0.2
_IDLE_SECONDS: Final = 3600.0
_MAX_RETRY_SECONDS: Final = 5.0


async def relay_commits(feed: Feed, commits: CommitSignal) -> None:
    """Announce the commits of this process to other servers, until cancelled."""
    waiter = commits.subscribe()

    async def step() -> float:
        if await waiter.wait(_IDLE_SECONDS):
            await feed.announce()
        return _PAUSE_SECONDS

    try:
        await repeat(step, task="commit_relay", max_retry_seconds=_MAX_RETRY_SECONDS)
    finally:
        waiter.close()
