"""The types of fields in request bodies, each with the rule for its error message."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from prefactor_server.domain.ids import (
    CLIENT_ID_RULE,
    MAX_KEY_LENGTH,
    NEW_ID_RULE,
    RESERVED_IDS,
)
from prefactor_server.domain.runs.metadata import MAX_KEY_LENGTH as MAX_METADATA_KEY
from prefactor_server.domain.runs.metadata import MAX_KEYS, MAX_VALUE_LENGTH
from prefactor_server.domain.times import parse_time

MAX_NAME: Final = 256
MAX_TEXT: Final = 10_000

# Not every database can store NUL in text columns, so fields that are stored as text reject it.
# Payloads are stored as JSON, which escapes it.
NO_NUL: Final = "^[^\\u0000]*$"

# Repeats the rule of `is_client_id`, because OpenAPI needs a pattern. `$` alone would accept a
# trailing line break.
CLIENT_ID_PATTERN: Final = r"^[A-Za-z0-9_.:\-]{1,64}$(?!\n)"

ClientId: TypeAlias = Annotated[
    str, Meta(pattern=CLIENT_ID_PATTERN, description=f"{CLIENT_ID_RULE}.")
]
"""An id that a client chose."""

NEW_ID_PATTERN: Final = rf"^(?!(?:{'|'.join(RESERVED_IDS)})$){CLIENT_ID_PATTERN[1:]}"

NewId: TypeAlias = Annotated[str, Meta(pattern=NEW_ID_PATTERN, description=f"{NEW_ID_RULE}.")]
"""An id that a client chooses for something new."""

Name: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME,
        pattern=NO_NUL,
        description=f"must be 1 to {MAX_NAME} characters without NUL.",
    ),
]
"""A name, a client's own identifier, or a reference by either."""

Text: TypeAlias = Annotated[
    str,
    Meta(
        max_length=MAX_TEXT,
        pattern=NO_NUL,
        description=f"must be at most {MAX_TEXT} characters without NUL.",
    ),
]
"""Prose."""

MetadataKey: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_METADATA_KEY,
        pattern=NO_NUL,
        description=f"must be a key of 1 to {MAX_METADATA_KEY} characters without NUL.",
    ),
]
MetadataValue: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_VALUE_LENGTH,
        pattern=NO_NUL,
        description=f"must be a string of 1 to {MAX_VALUE_LENGTH} characters without NUL.",
    ),
]
Metadata: TypeAlias = Annotated[
    dict[MetadataKey, MetadataValue],
    Meta(max_length=MAX_KEYS, description=f"must have at most {MAX_KEYS} keys."),
]
"""The metadata of a run."""

MetadataChanges: TypeAlias = Annotated[
    dict[MetadataKey, MetadataValue | None],
    Meta(max_length=2 * MAX_KEYS, description=f"must name at most {2 * MAX_KEYS} keys."),
]
"""The metadata keys to set, or to remove if null."""

Key: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_KEY_LENGTH, description="Makes a retry safe.")
]
"""An idempotency key."""


class NoFields(msgspec.Struct):
    """No fields. The body may be omitted."""


class IdempotentFields(msgspec.Struct, kw_only=True):
    """Fields that may include the idempotency key, because some clients send it there."""

    idempotency_key: Key | None = None


CostLimit: TypeAlias = Annotated[
    float,
    Meta(ge=0, le=1e9, description="must be an amount from 0 to 1000000000."),
]
"""An amount of money, in the currency of the server's prices."""

JsonObject: TypeAlias = dict[str, Any]


class Timestamp(int):
    """Microseconds since 1970, parsed from ISO 8601. A timestamp without an offset is UTC."""


def decode_field(kind: type, value: object) -> object:
    """Decode a value of a type that msgspec does not know.

    Raises:
        ValueError: it is not a value of the type.
    """
    if kind is not Timestamp:
        raise NotImplementedError(kind)
    try:
        return Timestamp(parse_time(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise ValueError("must be an ISO 8601 timestamp of the years 1 to 9999") from error


def field_schema(kind: type) -> dict[str, str]:
    """Return the OpenAPI schema of a type that msgspec does not know."""
    if kind is not Timestamp:
        raise NotImplementedError(kind)
    return {"type": "string", "format": "date-time"}
