"""Page numbers, and cursors, forged ones included."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.listing import (
    Cursor,
    Filter,
    FilterValue,
    Listing,
    Page,
    Pagination,
    Sort,
    paginate,
    read_cursor,
    write_cursor,
)

NOT_OURS = "is not a cursor: pass on the next_after of a page unchanged"
OTHER_LIST = "belongs to a list with other filters or another order"


def numbers(total: int, offset: int, size: int) -> Pagination:
    """Return the numbers of the page at an offset of a list of a given length."""
    rows = range(total)[offset : offset + size]
    return paginate(Listing(offset=offset, page_size=size), Page(rows, total, None))


# total, offset, size; then item_start, item_end, page_count, page_index, next offset, previous one.
@pytest.mark.parametrize(
    ("total", "offset", "size", "expected"),
    [
        (0, 0, 20, (0, 0, 0, 1, None, None)),
        (1, 0, 20, (1, 1, 1, 1, None, None)),
        (20, 0, 20, (1, 20, 1, 1, None, None)),
        (21, 0, 20, (1, 20, 2, 1, 20, None)),
        (21, 20, 20, (21, 21, 2, 2, None, 0)),
        (40, 20, 20, (21, 40, 2, 2, None, 0)),
        (5, 100, 20, (0, 0, 1, 6, None, 80)),
        (5, 1, 2, (2, 3, 3, 1, 3, 0)),
        (5, 4, 1, (5, 5, 5, 5, None, 3)),
    ],
)
def test_the_numbers_of_a_page(
    total: int, offset: int, size: int, expected: tuple[int | None, ...]
) -> None:
    """Items count from one, an empty page has none, and a next page is named only if it exists."""
    got = numbers(total, offset, size)

    assert (got.item_count, got.page_offset, got.page_size) == (total, offset, size)
    assert expected == (
        got.item_start,
        got.item_end,
        got.page_count,
        got.page_index,
        got.next_page_offset,
        got.previous_page_offset,
    )


@given(st.integers(0, 300), st.integers(1, 100))
def test_following_the_next_offset_sees_everything_once(total: int, size: int) -> None:
    """Following next_page_offset returns every item exactly once, in page_count pages."""
    seen, offset, pages = list[int](), 0, 0
    while True:
        page = numbers(total, offset, size)
        seen += range(page.item_start, page.item_end + 1) if page.item_end else []
        pages += 1
        if page.next_page_offset is None:
            break
        offset = page.next_page_offset

    assert seen == list(range(1, total + 1))
    assert pages == max(page.page_count, 1)


def test_a_page_by_cursor_has_the_numbers_of_a_page_by_offset() -> None:
    """A page by cursor has the same numbers as the page at its offset."""
    after = Listing(after=Cursor(None, "x", 40), page_size=20)

    page = paginate(after, Page(range(20), 100, None))

    assert page == numbers(100, 40, 20)


FILTER_VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
CURSOR_VALUES = (
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]))
)
LISTINGS = st.builds(
    Listing,
    filters=st.lists(
        st.builds(Filter, st.text(), st.sampled_from(["=", ">=", "<", "is null"]), FILTER_VALUES),
        max_size=3,
    ).map(tuple),
    sort=st.builds(Sort, st.text(), st.booleans()),
)


@given(LISTINGS, CURSOR_VALUES, st.text("abc-_.:0Z", max_size=64), st.integers(0, 2**53 - 1))
def test_a_cursor_decodes_to_its_value(
    listing: Listing, value: FilterValue, row_id: str, position: int
) -> None:
    """A cursor decodes to what was encoded, through text that is safe in a query."""
    cursor = Cursor(value, row_id, position)
    text = write_cursor(cursor, listing)

    assert read_cursor(text, listing) == cursor
    assert text.isascii()
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_a_cursor_of_another_list_is_refused() -> None:
    """A cursor belongs to its filters and order; the page size may change."""
    mine = Listing(filters=(Filter("status", "=", "active"),), sort=Sort("started_at"))
    text = write_cursor(Cursor(1, "x", 20), mine)

    assert read_cursor(text, mine._replace(page_size=7)) == Cursor(1, "x", 20)
    for other in (
        Listing(),
        mine._replace(filters=()),
        mine._replace(filters=(Filter("status", "=", "failed"),)),
        mine._replace(sort=Sort("started_at", descending=True)),
        mine._replace(sort=Sort("finished_at")),
    ):
        with pytest.raises(ValueError, match=OTHER_LIST):
            read_cursor(text, other)


def forged(value: Any, row_id: Any = "x", position: Any = 0) -> str:
    """A cursor with the right digest and parts of an attacker's choice."""
    honest = write_cursor(Cursor(None, "x", 0), Listing())
    digest = json.loads(base64.urlsafe_b64decode(honest + "=="))[0]
    return encoded([digest, value, row_id, position])


def encoded(value: Any) -> str:
    """A value encoded like a cursor."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "a",
        "!!!!",
        "é",
        "\ud800",
        encoded(None),
        encoded(5),
        encoded([]),
        encoded([1, 2, 3]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe\xff").decode(),
        base64.urlsafe_b64encode(b"1" * 5000).decode(),
        forged([1]),
        forged({}),
        forged(1.5),
        forged(float("nan")),
        forged(2**63),
        forged(-(2**63) - 1),
        forged(10**400),
        forged("\ud800"),
        forged(None, 5),
        forged(None, None),
        forged(None, "\udfff"),
        forged(None, "x", -1),
        forged(None, "x", 2**53),
        forged(None, "x", True),
        forged(None, "x", 1.0),
        forged(None, "x", None),
    ],
)
def test_a_hostile_cursor_is_refused(text: str) -> None:
    """An invalid cursor, or one with impossible values, is a ValueError."""
    with pytest.raises(ValueError, match=NOT_OURS):
        read_cursor(text, Listing())


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    """Any text raises ValueError or decodes, and nothing else."""
    with pytest.raises(ValueError, match=f"{NOT_OURS}|{OTHER_LIST}"):
        read_cursor(text, Listing())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, JSON, JSON)
def test_a_forged_cursor_gives_no_access(value: Any, row_id: Any, position: Any) -> None:
    """A forged cursor is refused, or holds only what a cursor of this server could hold."""
    try:
        cursor = read_cursor(forged(value, row_id, position), Listing())
    except ValueError:
        return

    assert isinstance(cursor.id, str)
    assert 0 <= cursor.position < 2**53
    assert read_cursor(write_cursor(cursor, Listing()), Listing()) == cursor
