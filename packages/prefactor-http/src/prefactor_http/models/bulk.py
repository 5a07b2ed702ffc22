"""Bulk requests: several operations in one round trip, in order, up to the first error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from prefactor_http.models.base import ARRIVED

if TYPE_CHECKING:
    from pydantic import ValidationInfo


class BulkItem(BaseModel):
    """One operation: its kind, its idempotency key, and its parameters as further fields."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    type: str = Field(alias="_type")
    """The operation, such as `agent_spans/create`; given and sent as `_type`."""
    idempotency_key: str = Field(min_length=8, max_length=64)
    """Unique in the request. It identifies the item's output, and makes repeating it safe."""

    if TYPE_CHECKING:  # a type checker sees neither the underscored alias nor the extra fields

        def __init__(self, *, _type: str, idempotency_key: str, **parameters: Any) -> None:
            """Take the operation, its key, and its parameters by name."""


class BulkRequest(BaseModel):
    """The operations of one request."""

    model_config = ConfigDict(defer_build=True)

    items: list[BulkItem] = Field(min_length=1)

    @model_validator(mode="after")
    def validate_unique_idempotency_keys(self) -> Self:
        """Reject two items with the same key, because there is one output per key."""
        keys = [item.idempotency_key for item in self.items]
        if len(set(keys)) != len(keys):
            message = "All idempotency keys must be unique within the request"
            raise ValueError(message)
        return self


def _outcome(value: str, info: ValidationInfo) -> str:
    return value if info.context is ARRIVED else BulkOutput.validate_status(value)


class BulkOutput(BaseModel):
    """The outcome of one item. Its other fields (`details`, `code`, …) are extra attributes."""

    model_config = ConfigDict(extra="allow", defer_build=True, hide_input_in_errors=True)

    status: Annotated[str, AfterValidator(_outcome)]
    """`success` or `error`; in a response, an unknown outcome is kept."""

    @classmethod
    def validate_status(cls, value: str) -> str:
        """Reject anything but the two outcomes."""
        if value not in {"success", "error"}:
            message = "status must be 'success' or 'error'"
            raise ValueError(message)
        return value


class BulkResponse(BaseModel):
    """Outputs by idempotency key, up to and including the first error; later items are absent."""

    model_config = ConfigDict(defer_build=True, hide_input_in_errors=True)

    status: str = "success"
    outputs: dict[str, BulkOutput]
