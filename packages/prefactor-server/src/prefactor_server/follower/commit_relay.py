"""Announces commits to other servers: at most every 200 ms, outside of transactions."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from prefactor_server.domain.errors import Unavailable
from prefactor_server.follower import CommitSignal
from prefactor_server.storage.feed import Feed

_PAUSE_SECONDS: Final = 0.2
_IDLE_SECONDS: Final = 3600.0

_log = structlog.get_logger("prefactor_server")


async def relay_commits(feed: Feed, commits: CommitSignal) -> None:
    """Announce the commits of this process to other servers, until cancelled."""
    waiter = commits.subscribe()
    try:
        while True:
            if not await waiter.wait(_IDLE_SECONDS):
                continue
            try:
                await feed.announce()
            except Unavailable as error:
                _log.info("commits_not_announced", reason=error.message)
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        waiter.close()
