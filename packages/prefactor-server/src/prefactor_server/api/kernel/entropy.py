"""Randomness in large draughts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_DRAUGHT: Final = 4096


class Randomness:
    """Hands out random bytes from a supply, and refills it from a source.

    Asking the operating system lets go of the interpreter, and getting it back can take longer than
    everything else that is done for a span.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._supply = b""
        self._used = 0

    def __call__(self, size: int) -> bytes:
        """So many bytes that nobody has been given before."""
        if self._used + size > len(self._supply):
            self._supply = self._source(max(size, _DRAUGHT))
            self._used = 0
        self._used += size
        return self._supply[self._used - size : self._used]
