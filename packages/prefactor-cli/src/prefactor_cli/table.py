"""Tables of text that fit the terminal where they can: the pure part, without any output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

_GAP: Final = "  "


@dataclass(frozen=True)
class Cell:
    """A text in a table, and how it is shown where there are colours."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its title, whether numbers stand in it, and how narrow it may become.

    `least` is None for a column that is never cut, such as one of ids.
    """

    title: str
    least: int | None = None
    right: bool = False


def widths(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int | None
) -> list[int]:
    """Return the width of each column: what its texts need, or less where there is no room.

    What is missing is taken from the widest of those that may be cut, until they are as narrow as
    they may become. A table that is still too wide is left so.
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
    """Return one row as pieces of a line, without spaces at its end."""
    pieces: list[Cell] = []
    last = max((place for place, cell in enumerate(row) if cell.text), default=-1)
    for place, (column, cell, size) in enumerate(zip(columns, row, sizes, strict=True)):
        if place > last:
            break
        text = fitted(cell.text, size) if column.least is not None else cell.text
        blank = " " * (size - cell_len(text))
        before, after = (blank, "") if column.right else ("", "" if place == last else blank)
        pieces += [
            Cell(before),
            Cell(text, cell.style),
            Cell(after if place == last else after + _GAP),
        ]
    return [piece for piece in pieces if piece.text]


def fitted(text: str, room: int) -> str:
    """Return a text that is no wider than so many columns of a terminal; its end is cut."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(room - 1, 0)).rstrip() + "…"
