"""A progress bar on standard error, for work that takes more than a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

_DELAY: Final = 1.0


class Progress:
    """Shows the progress after a second, if standard error is a terminal."""

    def __init__(self, what: str, total: int) -> None:
        """Create a bar, which is not shown yet."""
        self._what = what
        self._total = total
        self._done = 0
        self._begin = time.monotonic()
        self._bars: Bars | None = None
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Start to count."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar from the terminal."""
        if self._bars is not None:
            self._bars.stop()

    def advance(self, number: int = 1) -> None:
        """Add what was done since the last call."""
        self._done += number
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], completed=self._done)
        elif self._terminal and time.monotonic() - self._begin > _DELAY:
            console = Console(stderr=True)
            text = TextColumn("{task.description}")
            self._bars = Bars(
                text, BarColumn(), MofNCompleteColumn(), console=console, transient=True
            )
            self._bars.add_task(self._what, total=self._total or None, completed=self._done)
            self._bars.start()
