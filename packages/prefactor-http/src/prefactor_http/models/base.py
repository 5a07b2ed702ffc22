"""What all models share: the envelopes of replies, pages, and the two habits of the API.

Models are strict: a value outside of the documented ones fails, in a request and in a reply that
somebody constructs. What arrives is read tolerantly: unknown fields are ignored, and a word this
version does not know yet is kept as its text, because a write that has succeeded must never be
reported as an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from typing import Self

    from pydantic import GetCoreSchemaHandler, ValidationInfo

T = TypeVar("T")

_RAW = "_raw"

ARRIVED = {"prefactor_http": "arrived"}
"""The validation context of what a server sent."""


class OpenWord:
    """Annotation of a text: one of the documented words, or any other in what a server sent.

    The documented words are looked up by pydantic's compiled part. Only another one comes here.
    """

    def __init__(self, words: Any) -> None:
        """Take the words as a `Literal`."""
        self._words: tuple[str, ...] = get_args(words)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """The words first, then the look at where the value comes from."""
        known = core_schema.literal_schema(list(self._words))
        other = handler.generate_schema(Annotated[source, AfterValidator(self._other)])
        kind = "literal_error"
        context: dict[str, str | int] = {"expected": _listed(self._words)}
        return core_schema.union_schema(
            [known, other],
            mode="left_to_right",
            custom_error_type=kind,
            custom_error_context=context,
        )

    def _other(self, value: str, info: ValidationInfo) -> str:
        if info.context is ARRIVED:
            return value
        kind = "unknown_word"
        raise PydanticCustomError(kind, "not one of the documented words")


def _listed(words: tuple[str, ...]) -> str:
    """The words as pydantic lists those of a `Literal`."""
    *most, last = [repr(word) for word in words]
    return f"{', '.join(most)} or {last}" if most else last


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

    @classmethod
    def from_reply(cls, details: dict[str, Any]) -> Self:
        """Read an object as the client does: words unknown to this version are kept.

        For objects that were stored as the server sent them. `model_validate` and the constructor
        take the documented words alone.

        Raises:
            pydantic.ValidationError: It lacks what the model requires.
        """
        instance = cls.model_validate(details, context=ARRIVED)
        instance.remember(details)
        return instance

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
    item_count_is_exact: bool = True
    """Whether there are no more rows than `item_count`: servers may stop counting."""
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
