"""Statements that process many rows at once.

Python's module releases the interpreter lock around every step of a statement, and then waits until
the event loop releases it. With one statement per row, the writer would wait once per row. A
statement for a hundred rows waits once, and runs beside the event loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

# One prepared statement per size. The sizes need few enough parameters for every SQLite (32,766),
# and are few enough to stay prepared. Between runs, each statement keeps its last parameters.
_SIZES: Final = (100, 20, 5, 1)


class Statement:
    """A statement over rows of ``width`` values, which replace ``{rows}`` in its text.

    It is executed for the first of the ``sizes`` while there are as many rows, then for the next.
    The last size is 1. ``one`` is a cheaper statement for a single row, with the same parameters.
    """

    def __init__(
        self, width: int, text: str, *, sizes: Sequence[int] = _SIZES, one: str | None = None
    ) -> None:
        marks = f"({', '.join('?' * width)})"
        self._texts = {size: text.format(rows=", ".join([marks] * size)) for size in sizes}
        if one is not None:
            self._texts[1] = one

    def run(self, connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Execute the statement over all rows, in order."""
        if len(rows) == 1:
            connection.execute(self._texts[1], rows[0])
        elif rows:
            for _ in self.find(connection, rows):
                pass

    def find(
        self, connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]
    ) -> Iterator[Sequence[Any]]:
        """Execute the statement over all rows, in order, and yield what it returns."""
        start, end = 0, len(rows)
        for size, text in self._texts.items():
            while start + size <= end:
                values = list(chain.from_iterable(rows[start : start + size]))
                yield from connection.execute(text, values)
                start += size
