"""What all models share: the envelopes of replies, pages, and the two habits of the API.

Requests are strict: a value the API would refuse fails here. Replies are tolerant: unknown
fields are ignored, and a value this version does not know yet is passed on, because a write that
has succeeded must never be reported as an error.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")

_RAW = "_raw"


class RequestModel(BaseModel):
    """Part of a request; wherever one is accepted, a plain dict is too."""

    # Built at first use: importing the package costs what aiohttp and pydantic cost, no more.
    model_config = ConfigDict(defer_build=True, populate_by_name=True)

    def to_body(self) -> dict[str, Any]:
        """The JSON form, by alias, without the fields that are None."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ReplyModel(BaseModel):
    """Part of a reply."""

    model_config = ConfigDict(
        defer_build=True,
        # The text of a validation error is printed with every traceback; payloads are not ours
        # to print.
        hide_input_in_errors=True,
    )

    def __eq__(self, other: object) -> bool:
        """Equal by fields, as pydantic does it since 2.6, whatever else the server sent."""
        if not isinstance(other, ReplyModel) or type(self) is not type(other):
            return NotImplemented
        names = type(self).model_fields
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]  # its fields can be changed

    @property
    def raw(self) -> dict[str, Any]:
        """The object as the server sent it, fields unknown to this version included.

        Empty for a model that did not come from a reply.
        """
        return cast("dict[str, Any]", self.__dict__.get(_RAW, {}))

    def remember(self, raw: dict[str, Any]) -> None:
        """Keep what the server sent, beside the fields (as `cached_property` does)."""
        vars(self)[_RAW] = raw


class ApiResponse(ReplyModel, Generic[T]):
    """The envelope of a single object."""

    status: str
    details: T


class ApiError(ReplyModel):
    """The envelope of an error."""

    status: str = "error"
    code: str
    message: str


class DetailedApiError(ApiError):
    """The envelope of an error that names fields."""

    errors: dict[str, Any]


class PaginationOutput(ReplyModel):
    """Where a page lies in its list. Offsets count from 0, item numbers and page numbers from 1."""

    item_count: int = 0
    item_start: int = 0
    item_end: int = 0
    page_count: int = 0
    page_index: int = 1
    page_offset: int = 0
    page_size: int = 0
    next_page_offset: int | None = None
    previous_page_offset: int | None = None
    next_after: str | None = None
    """Cursor of the next page; stays right when rows are added meanwhile, unlike an offset."""


class Sorting(ReplyModel):
    """The order of a list."""

    field: str
    direction: str


class ListResponse(ReplyModel, Generic[T]):
    """The envelope of a list."""

    status: str
    summaries: list[T]
    pagination: PaginationOutput | None
    sorting: Sorting | None
