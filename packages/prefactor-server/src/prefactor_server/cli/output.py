"""The output of commands: messages, and rows as a table or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell: TypeAlias = str | int | None

# A long line wraps in the terminal. A table that is made to fit truncates ids, which makes them
# useless.
_ANY_WIDTH: Final = 100_000
# The status of a process that SIGPIPE ended, as shells report it.
_OUTPUT_CLOSED: Final = 141


class _Output(Console):
    """A console that does not exit the program when its output is closed."""

    def on_broken_pipe(self) -> None:
        """Leave the exception to ``main``, which exits as for any other output."""
        raise  # noqa: PLE0704 - rich calls this while it handles the exception


out: Final = _Output(highlight=False, soft_wrap=True, width=_ANY_WIDTH)
help_console: Final = _Output()
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Print a line for the operator on standard error."""
    err.print(line, markup=False)


def open_closed_streams() -> bool:
    """Open closed standard streams, so that no other file gets their numbers.

    Standard input is then empty, writes to standard output fail, and messages are discarded. Return
    whether standard output was open.
    """
    has_output = sys.stdout is not None
    # uvloop aborts the process when it closes a file with the number of a standard stream.
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    return has_output


def abandon_output(error: OSError) -> None:
    """Redirect the output to nothing, because Python's flush at exit would fail again.

    Exit if the reader of the output, such as ``head``, has closed it.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        sys.exit(_OUTPUT_CLOSED)


class Column(NamedTuple):
    """A column of a table: its name in JSON, its title, and the text for null."""

    member: str
    title: str
    null: str = "-"


def print_rows(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, as_json: bool) -> None:
    """Print rows, as a table or as a JSON object per line."""
    if as_json:
        names = [column.member for column in columns]
        for row in rows:
            line = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
            sys.stdout.write(f"{line}\n")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column.title, no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*(_shown(column, cell) for column, cell in zip(columns, row, strict=True)))
    out.print(table)


def print_document(document: object) -> None:
    """Print a JSON document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _shown(column: Column, cell: Cell) -> Text:
    text = column.null if cell is None else str(cell)
    # A row is one line, and text from callers must not control the terminal.
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
