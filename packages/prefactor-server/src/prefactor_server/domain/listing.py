"""Lists: filters, sort order and pages.

A page is requested by its offset or by a cursor, the opaque text at the end of the previous page.
Every order ends with the id, so that it is total and a cursor never skips or repeats a row.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
U = TypeVar("U")

DEFAULT_PAGE_SIZE: Final = 20
MAX_PAGE_SIZE: Final = 100
MAX_COUNTED: Final = 10_000
"""The most rows that are counted. Beyond it, counting costs more than reading the page."""
LAST_RUN_AT: Final = "last_run_at"
"""The order of agents by their latest run, which is not one of their columns."""
_MAX_POSITION: Final = 2**53

FilterValue: TypeAlias = str | int | bool | None
FilterTest: TypeAlias = Literal["=", ">=", "<=", "<", "in", "is null", ">= or null", "contains"]


class Filter(NamedTuple):
    """One condition on a column. Only ``in`` has several values.

    ``metadata[key]`` is the text under a key of a run's metadata. ``contains`` looks for a word in
    every text that an agent is known by, whatever the column.
    """

    column: str
    test: FilterTest
    value: FilterValue | tuple[str, ...]


class Sort(NamedTuple):
    """The order of a list; ties are broken by id, in the same direction."""

    field: str = "id"
    descending: bool = False


class Cursor(NamedTuple):
    """The start of the next page: after the row with this sort value and id.

    ``position`` is the number of rows before the page, so that pages reached by cursor have the
    same numbers as pages reached by offset.
    """

    value: FilterValue
    id: str
    position: int


class Listing(NamedTuple):
    """A request for a page of a list."""

    filters: tuple[Filter, ...] = ()
    sort: Sort = Sort()
    offset: int = 0
    page_size: int = DEFAULT_PAGE_SIZE
    after: Cursor | None = None

    @property
    def start(self) -> int:
        """How many rows come before the page."""
        return self.offset if self.after is None else self.after.position


class Page(NamedTuple, Generic[T]):
    """One page of a list, and the total number of rows.

    ``total`` is exact up to ``MAX_COUNTED``, and never larger.
    """

    rows: Sequence[T]
    total: int
    next: Cursor | None
    total_is_exact: bool = True

    def with_rows(self, rows: Sequence[U]) -> Page[U]:
        """Return the same page with other rows."""
        return Page(rows, self.total, self.next, self.total_is_exact)


class Pagination(NamedTuple):
    """The position of a page, as in responses: items count from one, offsets from zero."""

    item_count: int
    item_count_is_exact: bool
    item_start: int
    item_end: int
    page_count: int
    page_index: int
    page_offset: int
    page_size: int
    next_page_offset: int | None
    previous_page_offset: int | None
    next_after: str | None


def paginate(listing: Listing, page: Page[T]) -> Pagination:
    """Return the position of a page."""
    offset, size, total = listing.start, listing.page_size, page.total
    if not page.total_is_exact:
        total = max(total, offset + len(page.rows) + (page.next is not None))
    return Pagination(
        item_count=total,
        item_count_is_exact=page.total_is_exact,
        item_start=offset + 1 if page.rows else 0,
        item_end=offset + len(page.rows) if page.rows else 0,
        page_count=-(-total // size),
        page_index=offset // size + 1,
        page_offset=offset,
        page_size=size,
        next_page_offset=offset + size if offset + size < total else None,
        previous_page_offset=max(offset - size, 0) if offset > 0 else None,
        next_after=None if page.next is None else write_cursor(page.next, listing),
    )


def write_cursor(cursor: Cursor, listing: Listing) -> str:
    """Return the opaque text of a cursor, which includes the list that it belongs to."""
    text = json.dumps([_digest(listing), *cursor], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, listing: Listing) -> Cursor:
    """Return the cursor in a text from ``write_cursor`` for the same filters and order.

    Raises:
        ValueError: it is not a cursor, or belongs to another list.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        digest, value, row_id, position = json.loads(raw)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("is not a cursor: pass on the next_after of a page unchanged") from error
    if digest != _digest(listing):
        raise ValueError("belongs to a list with other filters or another order: start without it")
    # Anyone can forge a cursor, and databases reject values that cannot be stored.
    if not (_storable(value) and isinstance(row_id, str) and _storable(row_id)):
        raise ValueError("is not a cursor: pass on the next_after of a page unchanged")
    if type(position) is not int or not 0 <= position < _MAX_POSITION:
        raise ValueError("is not a cursor: pass on the next_after of a page unchanged")
    cursor = Cursor(value, row_id, position)
    if write_cursor(cursor, listing) != text:
        # Base 64 and JSON decoders are lenient and ignore some characters.
        raise ValueError("is not a cursor: pass on the next_after of a page unchanged")
    return cursor


def _storable(value: object) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None


def _digest(listing: Listing) -> str:
    text = json.dumps([listing.filters, listing.sort])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
