"""An event loop whose time passes only while it waits, and then at once."""

import asyncio
import selectors
from typing import Any


class _Selector(selectors.DefaultSelector):
    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.passed += timeout or 0
        return super().select(0)


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop for code that sleeps and waits for nothing outside of it."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._simulated.passed
