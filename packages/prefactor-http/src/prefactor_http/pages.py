"""Lists come in pages: one page as a list, and iterators that walk them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from prefactor_http.exceptions import PrefactorRequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from prefactor_http.models.base import PaginationOutput, Sorting

T = TypeVar("T")

MAX_PAGE_SIZE = 100
"""Rows; what iterators ask for, because every page is a round trip."""


class Page(list[T]):
    """One page of a list: a list of its rows, with what the server said about it."""

    def __init__(
        self,
        rows: list[T],
        *,
        pagination: PaginationOutput | None = None,
        sorting: Sorting | None = None,
        raw: dict[str, Any] | None = None,
    ) -> None:
        """Wrap rows that have been read already."""
        super().__init__(rows)
        self.pagination = pagination
        """Where the page lies in the list; None when the server does not say."""
        self.sorting = sorting
        """The order of the list; None when the server does not say."""
        self.raw = raw or {}
        """The whole reply as the server sent it."""

    @property
    def summaries(self) -> list[T]:
        """The rows, under the name that the API gives them."""
        return self

    def following(self) -> dict[str, Any] | None:
        """Query parameters of the next page; None when this is the last one.

        The cursor is preferred: with offsets, rows that are added while a walk is under way
        shift the pages, and rows are seen twice or never.
        """
        where = self.pagination
        if where is None or not self:
            return None
        if where.next_after:
            return {"pagination[after]": where.next_after}
        if where.next_page_offset is None or where.next_page_offset <= where.page_offset:
            return None  # a list that does not move forward would be walked forever
        return {"pagination[offset]": where.next_page_offset}


def page_params(
    *, sorting: str | None, offset: int | None, page_size: int | None, after: str | None = None
) -> dict[str, Any]:
    """Query parameters of a page.

    Args:
        sorting: Name of a field, with a leading `-` for descending order.
        offset: Rows to skip.
        page_size: Rows per page, 1 to 100.
        after: Cursor from `pagination.next_after`.
    """
    order: dict[str, Any] = {}
    if sorting is not None:
        if not isinstance(sorting, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"sorting must be the name of a field, got {type(sorting).__name__}"
            raise PrefactorRequestError(message, "sorting")
        direction = "desc" if sorting.startswith("-") else "asc"
        order = {"sorting[field]": sorting.removeprefix("-"), "sorting[direction]": direction}
    return {
        "pagination[offset]": offset,
        "pagination[page_size]": page_size,
        "pagination[after]": after,
        **order,
    }


async def walk(
    fetch: Callable[[dict[str, Any]], Awaitable[Page[T]]], page_size: int | None
) -> AsyncIterator[T]:
    """Every row of a list, fetching a page when the one before has been consumed."""
    position: dict[str, Any] | None = {}
    while position is not None:
        page = await fetch({"pagination[page_size]": page_size or MAX_PAGE_SIZE, **position})
        for row in page:
            yield row
        position = page.following()
