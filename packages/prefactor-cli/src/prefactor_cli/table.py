"""Tables of text that fit the terminal if possible: the pure part, without output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

_GAP: Final = "  "


@dataclass(frozen=True)
class Cell:
    """A text in a table, and its style if there are colours."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its title, whether it contains numbers, and its minimum width.

    `least` is None for a column that is never truncated, such as one of ids.
    """

    title: str
    least: int | None = None
    right: bool = False


def widths(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int | None
) -> list[int]:
    """Return the width of each column: the width of its texts, or less to fit the terminal.

    The widest columns that may be truncated are narrowed first, down to their minimum. The table
    may still be too wide.
    """
    found = [
        max([cell_len(column.title), *(cell_len(row[place].text) for row in rows)])
        for place, column in enumerate(columns)
    ]
    if room is None:
        return found
    excess = sum(found) + len(_GAP) * (len(columns) - 1) - room
    while excess > 0:
        spare = [
            (found[place] - max(column.least, cell_len(column.title)), place)
            for place, column in enumerate(columns)
            if column.least is not None
        ]
        most, place = max(spare, default=(0, 0))
        if most <= 0:
            break
        found[place] -= 1
        excess -= 1
    return found


def line(columns: Sequence[Column], row: Sequence[Cell], sizes: Sequence[int]) -> list[Cell]:
    """Return a row as the cells of a line without trailing spaces."""
    cells: list[Cell] = []
    last = max((place for place, cell in enumerate(row) if cell.text), default=-1)
    for place, (column, cell, size) in enumerate(zip(columns, row, sizes, strict=True)):
        if place > last:
            break
        text = fitted(cell.text, size) if column.least is not None else cell.text
        blank = " " * (size - cell_len(text))
        before, after = (blank, "") if column.right else ("", "" if place == last else blank)
        cells += [
            Cell(before),
            Cell(text, cell.style),
            Cell(after if place == last else after + _GAP),
        ]
    return [cell for cell in cells if cell.text]


def fitted(text: str, room: int) -> str:
    """Return a text truncated to a number of terminal columns."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(room - 1, 0)).rstrip() + "…"
