"""The output of commands: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from prefactor_cli.table import Cell, Column, line, widths
from prefactor_cli.text import escaped

STATUS_STYLES: Final = {
    "complete": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "terminated": "magenta",
    "active": "cyan",
    "pending": "dim",
}
RISK_STYLES: Final = {"high": "red", "critical": "bold red", "medium": "yellow"}
_MUTED: Final = "dim"


class _Console(Console):
    """A console that does not exit the program when its output is closed."""

    def on_broken_pipe(self) -> None:
        """Leave the exception to the caller; `main` turns it into an exit code."""
        raise  # noqa: PLE0704 - rich calls this while it handles the exception


class Printer:
    """Prints to standard output, on a terminal with colours and within its width.

    With ``stderr``, it prints to standard error, for lines that are not part of a JSON document.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        """Detect the kind of output; `NO_COLOR` and `FORCE_COLOR` take precedence."""
        self._styled = not os.environ.get("NO_COLOR")
        self._console = _Console(
            highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=stderr
        )
        file = sys.stderr if stderr else sys.stdout
        self.width: int | None = self._console.width if file.isatty() else None

    def cells(self, cells: Iterable[Cell]) -> None:
        """Print a line of cells, each with its style."""
        text = Text()
        for cell in cells:
            text.append(cell.text, cell.style if self._styled and cell.style else None)
        self._console.print(text, soft_wrap=True, no_wrap=True, overflow="ignore", crop=False)

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        self.cells([Cell(text, style)])

    def table(self, columns: Sequence[Column]) -> TablePrinter:
        """Return a table that is printed page by page."""
        return TablePrinter(self, columns)


class TablePrinter:
    """Prints the pages of a table. The first page determines the widths."""

    def __init__(self, printer: Printer, columns: Sequence[Column]) -> None:
        """Create a table; nothing is printed yet."""
        self._printer = printer
        self._columns = columns
        self._widths: list[int] = []

    def page(self, rows: Sequence[Sequence[Cell]], below: Sequence[Sequence[Cell]] = ()) -> None:
        """Print rows, each with the line below it if there is one."""
        if not rows:
            return
        if not self._widths:
            self._widths = widths(self._columns, rows, self._printer.width)
            titles = [Cell(column.title, _MUTED) for column in self._columns]
            self._printer.cells(line(self._columns, titles, self._widths))
        for number, row in enumerate(rows):
            self._printer.cells(line(self._columns, row, self._widths))
            if number < len(below) and below[number]:
                self._printer.cells(below[number])


def print_json(value: Any) -> None:
    """Print one of several JSON values, on one line."""
    sys.stdout.write(json_line(value))


def print_document(value: Any) -> None:
    """Print a JSON document."""
    sys.stdout.write(escaped(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def json_line(value: Any) -> str:
    """Return a JSON value on one line."""
    return escaped(json.dumps(value, ensure_ascii=False)) + "\n"


def note(message: str) -> None:
    """Print a message that is not part of the output, on standard error."""
    sys.stdout.flush()
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def confirmed(question: str) -> bool:
    """Ask for confirmation on standard error. Any answer except yes counts as no."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
