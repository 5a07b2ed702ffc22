"""Paged lists: when a next page exists, and that each row is returned exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_http import Page, PaginationOutput, PrefactorResponseContractError
from prefactor_http.pages import page_params, walk


def page(rows: list[int], **where: Any) -> Page[int]:
    """A page with this pagination."""
    return Page(rows, pagination=PaginationOutput(**where))


def test_the_cursor_is_preferred() -> None:
    """If a page has a cursor and an offset, the iteration continues by the cursor."""
    both = page([1], next_after="c", next_page_offset=1)
    assert both.following() == {"pagination[after]": "c"}
    assert page([1], next_page_offset=1).following() == {"pagination[offset]": 1}


def test_a_walk_ends() -> None:
    """A walk ends when a page has no rows, no next page, no pagination or no progress."""
    assert page([], next_after="c").following() is None
    assert page([1]).following() is None
    assert Page([1]).following() is None
    assert page([1], page_offset=5, next_page_offset=5).following() is None


def test_sorting_and_position() -> None:
    """A leading minus means descending, and missing arguments are not sent."""
    params = page_params(sorting="-name", offset=None, page_size=3, after="c")
    assert {name: value for name, value in params.items() if value is not None} == {
        "sorting[field]": "name",
        "sorting[direction]": "desc",
        "pagination[page_size]": 3,
        "pagination[after]": "c",
    }
    ascending = page_params(sorting="name", offset=0, page_size=None)
    assert ascending["sorting[direction]"] == "asc"


@given(st.integers(0, 40), st.integers(1, 10), st.booleans())
async def test_a_walk_sees_every_row_once(rows: int, size: int, cursors: bool) -> None:
    """A walk returns every row once, at any length and page size, by cursor or by offset."""
    fetched: list[dict[str, Any]] = []

    async def fetch(position: dict[str, Any]) -> Page[int]:
        fetched.append(position)
        start = int(position.get("pagination[after]", position.get("pagination[offset]", 0)))
        end = start + position["pagination[page_size]"]
        more = end < rows
        return page(
            list(range(start, min(end, rows))),
            page_offset=start,
            next_page_offset=end if more and not cursors else None,
            next_after=str(end) if more and cursors else None,
        )

    assert [row async for row in walk(fetch, size)] == list(range(rows))
    assert len(fetched) == max(1, -(-rows // size))


async def test_a_page_that_names_itself_as_the_next_is_an_error() -> None:
    """A server that repeats a cursor cannot make a walk endless, nor make it end as if complete."""

    async def fetch(_position: dict[str, Any]) -> Page[int]:
        return page([1], next_after="same")

    rows = walk(fetch, None)
    assert [await anext(rows) for _ in range(2)] == [1, 1]
    with pytest.raises(PrefactorResponseContractError, match="its own cursor"):
        await anext(rows)
