"""A buffered source of random bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_BUFFER_BYTES: Final = 4096


class BufferedEntropy:
    """Returns random bytes from a buffer that is refilled from ``source``.

    Each call to the operating system releases the interpreter lock, and getting the lock back can
    take longer than all other work for a span.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._buffer = b""
        self._used = 0

    def __call__(self, size: int) -> bytes:
        """Return ``size`` bytes that were never returned before."""
        if self._used + size > len(self._buffer):
            self._buffer = self._source(max(size, _BUFFER_BYTES))
            self._used = 0
        self._used += size
        return self._buffer[self._used - size : self._used]
