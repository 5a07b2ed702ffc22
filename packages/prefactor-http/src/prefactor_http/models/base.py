"""Base classes of the models, envelopes of responses, and pages.

Models are strict. An undocumented value is invalid in a request, and in a response that code
constructs. What arrives from a server is read tolerantly: unknown fields are ignored, and an
unknown word is kept as text, because a write that succeeded must never be reported as an error.
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
"""The validation context of data that a server sent."""


class OpenWord:
    """Annotation of a text: a documented word, or any text in data that a server sent.

    pydantic's compiled code looks up the documented words. Only other texts reach this class.
    """

    def __init__(self, words: Any) -> None:
        """Store the words of a `Literal`."""
        self._words: tuple[str, ...] = get_args(words)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return a schema that accepts the words, and other texts depending on the context."""
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
    """List the words as pydantic lists those of a `Literal`."""
    *most, last = [repr(word) for word in words]
    return f"{', '.join(most)} or {last}" if most else last


class RequestModel(BaseModel):
    """Part of a request. A plain dict is accepted wherever a model is."""

    # Built at first use, to keep the import of the package fast.
    model_config = ConfigDict(defer_build=True, populate_by_name=True)

    def to_body(self) -> dict[str, Any]:
        """Return the JSON form, by alias, without fields that are None."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ReplyModel(BaseModel):
    """Part of a response."""

    model_config = ConfigDict(
        defer_build=True,
        # Tracebacks print the text of a validation error, and payloads may be confidential.
        hide_input_in_errors=True,
    )

    def __eq__(self, other: object) -> bool:
        """Compare fields only, as pydantic does since 2.6, ignoring what else the server sent."""
        if not isinstance(other, ReplyModel) or type(self) is not type(other):
            return NotImplemented
        names = type(self).model_fields
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]  # mutable

    @classmethod
    def from_reply(cls, details: dict[str, Any]) -> Self:
        """Read an object as the client does, keeping words unknown to this version.

        For objects stored as the server sent them. `model_validate` and the constructor accept only
        documented words.

        Raises:
            pydantic.ValidationError: The object lacks something the model requires.
        """
        instance = cls.model_validate(details, context=ARRIVED)
        instance.remember(details)
        return instance

    @property
    def raw(self) -> dict[str, Any]:
        """The object as the server sent it, including fields unknown to this version.

        Empty for a model that did not come from a response.
        """
        return cast("dict[str, Any]", self.__dict__.get(_RAW, {}))

    def remember(self, raw: dict[str, Any]) -> None:
        """Store what the server sent outside the fields, like `cached_property`."""
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
    """The place of a page in its list. Offsets count from 0, items and pages from 1."""

    item_count: int = 0
    item_count_is_exact: bool = True
    """Whether `item_count` is exact. Servers may stop counting."""
    item_start: int = 0
    item_end: int = 0
    page_count: int = 0
    page_index: int = 1
    page_offset: int = 0
    page_size: int = 0
    next_page_offset: int | None = None
    previous_page_offset: int | None = None
    next_after: str | None = None
    """Cursor of the next page. Unlike an offset, it stays valid if rows are added meanwhile."""


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
