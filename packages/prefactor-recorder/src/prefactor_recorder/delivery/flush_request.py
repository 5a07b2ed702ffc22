"""A flush that somebody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ticket:
    """Everything that was recorded before it was handed in is to be delivered at once."""

    __slots__ = ("_finished", "until")

    def __init__(self, finished: Callable[[], object]) -> None:
        """Prepare a ticket.

        Args:
            finished: Called once, by the delivery thread, when nothing more can be done.
        """
        self._finished = finished
        self.until: int | None = None
        """Up to where the planner has to be rid of entries; None until the loop has seen it."""

    def finish(self) -> None:
        """Let those go who wait."""
        self._finished()
