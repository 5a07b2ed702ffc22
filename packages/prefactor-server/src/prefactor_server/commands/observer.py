"""What a writer reports about its work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prefactor_server.commands.base import Outcome, Submission


class WriteObserver(Protocol):
    """Watches batches. It is called between them, so it has to be quick, and must not raise."""

    def timer(self) -> float:
        """Seconds since some moment in the past, to tell how long something took."""
        ...

    def committed(
        self,
        submissions: Sequence[Submission],
        outcomes: Sequence[Sequence[Outcome]],
        seconds: float,
    ) -> None:
        """A batch is durable; it took so long from loading its rows to the end of its commit."""
        ...

    def failed(self) -> None:
        """A batch could not be written; its requests are refused, or each tried alone."""
        ...
