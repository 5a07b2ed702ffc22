"""Tables fit the terminal where they can, and never cut an id."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from prefactor_cli.table import Cell, Column, fitted, line, widths

COLUMNS = (Column("status"), Column("agent", least=6), Column("run"), Column("n", right=True))
TEXT = st.text(st.characters(categories=["L", "N", "S"]), max_size=30)
ROWS = st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT).map(lambda row: [*map(Cell, row)]), max_size=5)


@given(ROWS, st.integers(1, 120))
def test_only_names_are_cut(rows: list[list[Cell]], room: int) -> None:
    """Lines fit because names are shortened; other columns are shown whole."""
    sizes = widths(COLUMNS, rows, room)
    shown = ["".join(cell.text for cell in line(COLUMNS, row, sizes)) for row in rows]

    for row, text in zip(rows, shown, strict=True):
        assert all(row[place].text in text for place in (0, 2, 3))
    if sizes[1] > cell_len("agent") + 1:
        assert all(cell_len(text) <= room for text in shown)


@given(ROWS)
def test_nothing_is_cut_without_a_terminal(rows: list[list[Cell]]) -> None:
    """In a pipe every cell is whole."""
    sizes = widths(COLUMNS, rows, None)

    for row in rows:
        text = "".join(cell.text for cell in line(COLUMNS, row, sizes))
        assert all(cell.text in text for cell in row)


def test_columns_line_up_with_their_titles() -> None:
    """Numbers are right-aligned, texts left-aligned, and no line ends in spaces."""
    rows = [
        [Cell("active"), Cell("Ada"), Cell("r1"), Cell("7")],
        [Cell(""), Cell("Bo")] + [Cell("")] * 2,
    ]
    sizes = widths(COLUMNS, rows, None)

    assert ["".join(cell.text for cell in line(COLUMNS, row, sizes)) for row in rows] == [
        "active  Ada    r1   7",
        "        Bo",
    ]


@given(TEXT, st.integers(1, 20))
def test_a_text_is_fitted(text: str, room: int) -> None:
    """A shortened text ends in a mark and fits its width in terminal columns."""
    cut = fitted(text, room)

    assert cut == text or (cut.endswith("…") and cell_len(cut) <= room)
