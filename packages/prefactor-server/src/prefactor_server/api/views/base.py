"""Parts shared by all views: envelopes, pages and timestamps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Generic, Literal, TypeVar

import msgspec

from prefactor_server.api.kernel.operation import Call
from prefactor_server.commands.base import Done
from prefactor_server.domain.listing import Listing, Page, paginate
from prefactor_server.domain.times import format_time

T = TypeVar("T")
Row = TypeVar("Row")


class Success(msgspec.Struct, Generic[T], kw_only=True, frozen=True):
    """The answer about one resource."""

    status: Literal["success"] = "success"
    details: T


class ControlView(msgspec.Struct, frozen=True, kw_only=True):
    """The signal to the agent of a terminated run, with the operator's reason."""

    terminate: Literal[True] = True
    reason: str | None


class PaginationView(msgspec.Struct, frozen=True):
    """The position of a page. Items count from one, offsets from zero.

    ``next_after`` is a cursor. As ``pagination[after]``, it continues the list where this page
    ends, even if rows were inserted before it. Lists count up to ten thousand rows. A count that is
    not exact is a lower bound.
    """

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


class SortingView(msgspec.Struct, frozen=True):
    """The order of a list."""

    field: str
    direction: Literal["asc", "desc"]


class Listed(msgspec.Struct, Generic[T], kw_only=True, frozen=True):
    """A page of a list."""

    status: Literal["success"] = "success"
    summaries: Sequence[T]
    pagination: PaginationView
    sorting: SortingView


def listed(listing: Listing, page: Page[Row], summaries: Sequence[T]) -> Listed[T]:
    """Return the view of a page of a list."""
    return Listed(
        summaries=summaries,
        pagination=PaginationView(**paginate(listing, page)._asdict()),
        sorting=SortingView(listing.sort.field, "desc" if listing.sort.descending else "asc"),
    )


# Most views contain the same time more than once, and the views of a batch share it.
@lru_cache(maxsize=1024)
def show_time(us: int) -> str:
    """Format a time."""
    return format_time(us)


def show_optional_time(us: int | None) -> str | None:
    """Format a time, or return None if it is missing."""
    return None if us is None else show_time(us)


def written_row(done: Done, kind: type[T]) -> T:
    """Return the row that a command wrote, which is of this kind."""
    if not isinstance(done.row, kind):
        raise TypeError(done.row)
    return done.row


def written(kind: type[Row], view: Callable[[Row], T]) -> Callable[[Done], Success[T]]:
    """Return the ``reply`` of a write: the view of the row that it wrote."""
    return lambda done: Success(details=view(written_row(done, kind)))


def by_path_id(show: Callable[[Call, str], Awaitable[T]]) -> Callable[[Call], Awaitable[T]]:
    """Return the ``answer`` of a read that shows what the path names."""

    async def answer(call: Call) -> T:
        return await show(call, call.path_id)

    return answer


class DeletedView(msgspec.Struct, frozen=True, kw_only=True):
    """The answer about a deleted resource."""

    type: str
    id: str


def show_deleted(kind: str) -> Callable[[Call, str], Awaitable[Success[DeletedView]]]:
    """Return the ``show`` of a deletion. It answers a repeated request with type and id only."""

    async def show(call: Call, deleted_id: str) -> Success[DeletedView]:
        del call
        return Success(details=DeletedView(type=kind, id=deleted_id))

    return show
