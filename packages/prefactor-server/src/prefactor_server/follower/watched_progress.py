"""A consumer's progress, and its pauses after failures."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from prefactor_server.domain.errors import Unavailable
from prefactor_server.follower.progress import Progress, Step
from prefactor_server.json_log import trace_of

_log = structlog.get_logger("prefactor_server")

_FIRST_BACKOFF_SECONDS: Final = 1.0
_MAX_BACKOFF_SECONDS: Final = 60.0


class WatchedProgress:
    """Keeps one consumer's mistake from stopping the others. It is retried with backoff."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.not_before = 0.0
        self._failures = 0
        self._has_failed = False

    @property
    def is_due(self) -> bool:
        """Whether no pause is left."""
        return self.not_before <= time.monotonic()

    async def attempt(self, step: Callable[[], Awaitable[Step]]) -> Step:
        """Return the result of a step, or an empty one if it fails or one of this turn has failed.

        Raises:
            Unavailable: the database cannot be reached, or cannot take writes now.
        """
        if self._has_failed:
            return Step()
        try:
            return await step()
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one consumer's mistake must not stop the others
            self._has_failed = True
            self._failures += 1
            pause = min(_FIRST_BACKOFF_SECONDS * 2 ** (self._failures - 1), _MAX_BACKOFF_SECONDS)
            self.not_before = time.monotonic() + pause
            if self._failures == 1:
                # Without the message, which may quote recorded data.
                _log.error("consumer_failed", consumer=self.progress.name, trace=trace_of(error))
            return Step()

    def end_turn(self) -> None:
        """Count the turn as a success if no step of it has failed."""
        if not self._has_failed and self._failures:
            self._failures = 0
            _log.info("consumer_recovered", consumer=self.progress.name)
        self._has_failed = False
