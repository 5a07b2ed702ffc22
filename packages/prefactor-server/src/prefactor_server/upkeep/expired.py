"""Deleting expired idempotency keys, sessions, sign-in links, and what killed processes left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.background import repeat
from prefactor_server.databases import OpenStorage
from prefactor_server.domain.times import DAY_US, SECOND_US
from prefactor_server.upkeep.pace import paced

_PRUNE_EVERY_SECONDS: Final = 60
_PRUNE_SLICE: Final = 1000


async def prune(
    storage: OpenStorage, now_us: Callable[[], int], *, key_days: int, session_idle_seconds: int
) -> None:
    """Delete expired keys, sessions and links, and spans of deleted runs, until cancelled."""
    keys_us = key_days * DAY_US
    idle_us = session_idle_seconds * SECOND_US

    async def step() -> float:
        # In small batches, so that no request waits for a long delete.
        while await storage.forget_keys(now_us() - keys_us, _PRUNE_SLICE):
            pass
        while await storage.maintenance.forget_sign_ins(now_us(), idle_us):
            pass
        # Those that a killed process has left.
        while await paced(storage.maintenance.delete_remaining_spans()):
            pass
        return _PRUNE_EVERY_SECONDS

    await repeat(step, task="prune")
