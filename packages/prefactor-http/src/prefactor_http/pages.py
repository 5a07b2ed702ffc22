"""Pages of lists, and iterators over all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from prefactor_http.exceptions import PrefactorRequestError, PrefactorResponseContractError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from prefactor_http.models.base import PaginationOutput, Sorting

T = TypeVar("T")

MAX_PAGE_SIZE = 100
"""Maximum rows of a page. Iterators request this many, because every page is a round trip."""


class Page(list[T]):
    """One page of a list: its rows, and its place in the list."""

    def __init__(
        self,
        rows: list[T],
        *,
        pagination: PaginationOutput | None = None,
        sorting: Sorting | None = None,
        raw: dict[str, Any] | None = None,
    ) -> None:
        """Create a page."""
        super().__init__(rows)
        self.pagination = pagination
        """The position of the page in the list; None if the server does not say."""
        self.sorting = sorting
        """The order of the list; None if the server does not say."""
        self.raw = raw or {}
        """The complete response as the server sent it."""

    @property
    def summaries(self) -> list[T]:
        """The rows, under the API's name for them."""
        return self

    def following(self) -> dict[str, Any] | None:
        """Return the query parameters of the next page, or None for the last page.

        Prefers the cursor. With offsets, rows added meanwhile shift the pages, so that rows are
        repeated or skipped.
        """
        where = self.pagination
        if where is None or not self:
            return None
        if where.next_after:
            return {"pagination[after]": where.next_after}
        if where.next_page_offset is None or where.next_page_offset <= where.page_offset:
            return None  # an offset that does not increase would never end
        return {"pagination[offset]": where.next_page_offset}


def page_params(
    *, sorting: str | None, offset: int | None, page_size: int | None, after: str | None = None
) -> dict[str, Any]:
    """Return the query parameters of a page.

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
    """Yield every row of a list. Each page is fetched after the previous one was consumed.

    Raises:
        PrefactorResponseContractError: A page names itself as the next one, which would never end.
    """
    position: dict[str, Any] | None = {}
    while position is not None:
        page = await fetch({"pagination[page_size]": page_size or MAX_PAGE_SIZE, **position})
        for row in page:
            yield row
        following = page.following()
        if following is not None and following == position:
            message = "The server answered a page with its own cursor as that of the next page"
            raise PrefactorResponseContractError(message)
        position = following
