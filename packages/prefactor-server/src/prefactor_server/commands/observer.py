"""The interface through which a writer reports its work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prefactor_server.commands.base import Outcome, Submission


class WriteObserver(Protocol):
    """Observes batches. Called between batches, so it must be quick and must not raise."""

    def timer(self) -> float:
        """Return seconds of a monotonic clock, to measure durations."""
        ...

    def committed(
        self,
        submissions: Sequence[Submission],
        outcomes: Sequence[Sequence[Outcome]],
        seconds: float,
    ) -> None:
        """Called when a batch is durable, with the seconds from loading its rows to its commit."""
        ...

    def failed(self) -> None:
        """Called when a batch failed. Its requests are then refused or retried one by one."""
        ...
