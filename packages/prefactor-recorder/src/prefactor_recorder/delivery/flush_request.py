"""A pending flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class FlushRequest:
    """Asks for everything recorded before it to be delivered immediately."""

    __slots__ = ("_finished", "until")

    def __init__(self, finished: Callable[[], object]) -> None:
        """Create a request that has not been submitted.

        Args:
            finished: Called once, by the delivery thread, when the flush is complete or cannot
                make progress.
        """
        self._finished = finished
        self.until: int | None = None
        """The value of `Planner.added` to settle everything up to; None until the loop sets it."""

    def finish(self) -> None:
        """Wake the waiting threads."""
        self._finished()
