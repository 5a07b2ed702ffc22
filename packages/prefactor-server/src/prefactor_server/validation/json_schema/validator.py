"""Compiles untrusted JSON Schemas once and checks payloads against them.

A schema that is invalid or too costly is stored with a message that says so, and its payloads are
not checked. Nothing is rejected because of its schema. References to other documents are never
followed, and patterns run on an engine whose time is linear in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypedDict, cast

import jsonschema_rs
import msgspec

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.cache import ContentCache
from prefactor_server.validation.json_schema.budget import can_check, can_explain
from prefactor_server.validation.json_schema.cost import Cost, schema_cost
from prefactor_server.validation.json_schema.messages import MASK, describe
from prefactor_server.validation.json_schema.patterns import linear_regexes
from prefactor_server.validation.json_schema.preflight import (
    MAX_COMPILE_STEPS,
    UnusableSchema,
    scan_schema,
)

EMPTY_OBJECT_SCHEMA: Final[Mapping[str, object]] = {"type": "object", "additionalProperties": False}
"""The result schema of a span type without one: the result must be empty."""

MAX_SCHEMA_BYTES: Final = 256 * 1024
MAX_MESSAGE: Final = 500

_MAX_CACHED: Final = 64 * 1024 * 1024
# Measured: most schemas take 25 bytes of memory per byte, one long enumeration up to 130.
# Compiled patterns are estimated by their weight: 4,000 for up to a megabyte.
_BYTES_PER_BYTE: Final = 30
_BYTES_PER_PATTERN_WEIGHT: Final = 256
_BYTES_READ_PER_STEP: Final = 16


class _Options(TypedDict):
    offline: bool
    validate_formats: bool
    mask: str


# Formats are annotations, as in draft 2020-12. Checking the format "regex" would compile
# expressions from payloads.
_OPTIONS: Final[_Options] = {"offline": True, "validate_formats": False, "mask": MASK}


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema that is ready to check payloads, or the reason why it is not used."""

    problem: str | None
    """None if the schema is used, otherwise the reason why it is not."""

    memory: int = 0
    """Its approximate memory use in bytes."""

    _validator: jsonschema_rs.Validator | None = field(default=None, repr=False)
    _cost: Cost = field(default=Cost(0, 0), repr=False)

    def check(self, payload: object, budget: Budget | None = None) -> str | None:
        """Return "" if a payload matches, a message if not, and None if it was not checked.

        The message names the first mismatch and never quotes strings of the payload. The cost is
        taken from the budget. Never raises.
        """
        budget = budget or Budget()
        if self._validator is None or not can_check(self._cost, payload, budget):
            return None
        try:
            if self._validator.is_valid(payload):
                return ""
            if not can_explain(self._cost, payload, budget):
                return "it does not match, and is too large to find out where"
            self._validator.validate(payload)
        except jsonschema_rs.ValidationError as error:
            return describe(error, payload)[:MAX_MESSAGE]
        except (ValueError, RecursionError):
            # Not JSON: a non-string key, a lone surrogate, or extreme nesting.
            return None
        return ""


class SchemaCache:
    """Compiles schemas, each distinct one only once."""

    def __init__(self, max_weight: int = _MAX_CACHED) -> None:
        self._cache: ContentCache[CompiledSchema] = ContentCache(max_weight)

    def compile(self, schema: object, budget: Budget | None = None) -> CompiledSchema:
        """Compile a decoded schema, or return the earlier result for the same content."""
        try:
            content = msgspec.json.encode(schema, order="deterministic")
        except (TypeError, ValueError, RecursionError):
            return CompiledSchema("The schema is not JSON, or is nested too deeply")
        return self.compile_document(content, budget)

    def is_cached(self, content: bytes) -> bool:
        """Return whether compiling a schema would cost nothing."""
        return len(content) > MAX_SCHEMA_BYTES or self._cache.get(content) is not None

    def compile_document(self, content: bytes, budget: Budget | None = None) -> CompiledSchema:
        """Compile a schema in JSON, or return the earlier result for the same text.

        If the budget has too few steps left, this request's payloads are not checked.
        """
        cached = self._cache.get(content)
        if cached is not None:
            return cached
        if len(content) > MAX_SCHEMA_BYTES:
            return unchecked(f"it is larger than {MAX_SCHEMA_BYTES // 1024} KB")
        compiled = _compile_content(content, budget or Budget())
        if compiled is TOO_MUCH_FOR_A_REQUEST:
            return compiled
        compiled = replace(compiled, memory=compiled.memory + _BYTES_PER_BYTE * len(content))
        return self._cache.put(content, compiled.memory, compiled)


def _compile_content(content: bytes, budget: Budget) -> CompiledSchema:
    if not budget.take(len(content) // _BYTES_READ_PER_STEP):
        return TOO_MUCH_FOR_A_REQUEST
    try:
        schema: object = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return CompiledSchema("The schema is not JSON, or is nested too deeply")
    return compile_schema(schema, budget)


def compile_schema(schema: object, budget: Budget | None = None) -> CompiledSchema:
    """Compile a decoded schema of bounded size. Never raises.

    The draft is 2020-12 unless `$schema` names another.
    """
    if isinstance(schema, bool):
        return CompiledSchema(None, 0, _validator(schema))
    if not isinstance(schema, dict):
        return CompiledSchema("A JSON Schema must be an object, true or false")
    declared = cast("dict[str, Any]", schema)
    try:
        return _compile(declared, budget or Budget())
    except UnusableSchema as reason:
        return unchecked(str(reason))
    except jsonschema_rs.ValidationError as error:
        return _refused(declared, error)
    except (ValueError, RecursionError) as error:
        return CompiledSchema(f"The schema cannot be read: {error}"[:MAX_MESSAGE])


def _compile(schema: dict[str, Any], budget: Budget) -> CompiledSchema:
    found = scan_schema(schema)
    if found.steps > MAX_COMPILE_STEPS:
        raise UnusableSchema(_TOO_COSTLY if found.patterns else _TOO_LARGE)
    if not budget.take(found.steps):
        return TOO_MUCH_FOR_A_REQUEST
    cost = schema_cost(schema, found)
    memory = _BYTES_PER_PATTERN_WEIGHT * cost.patterns
    return CompiledSchema(None, memory, _validator(schema), cost)


def _validator(schema: dict[str, Any] | bool) -> jsonschema_rs.Validator:  # noqa: FBT001 - a schema
    return jsonschema_rs.validator_for(schema, pattern_options=linear_regexes(), **_OPTIONS)


def _refused(schema: dict[str, Any], error: jsonschema_rs.ValidationError) -> CompiledSchema:
    """Return why a schema was not compiled: it is invalid, or unsupported here."""
    kind = error.kind.name
    if kind == "format":
        try:
            jsonschema_rs.validator_for(schema, **_OPTIONS)
        except (ValueError, RecursionError):
            pass
        else:
            return unchecked("a pattern needs look-around or back-references, or is too large")
    if error.message.startswith("Unknown meta-schema"):
        return unchecked("its $schema is not one of drafts 4, 6, 7, 2019-09 and 2020-12")
    return CompiledSchema(
        f"The schema is not valid: {describe(error, schema, quote_texts=True)}"[:MAX_MESSAGE]
    )


def unchecked(reason: str) -> CompiledSchema:
    """Return a schema that may be valid but is not used, with the reason."""
    return CompiledSchema(f"Payloads are not checked against this schema: {reason}"[:MAX_MESSAGE])


_TOO_LARGE: Final = "it has too many subschemas"
_TOO_COSTLY: Final = "its subschemas and patterns are too large when compiled"

TOO_MUCH_FOR_A_REQUEST: Final = unchecked(
    "compiling it takes more work than one request may do; a later request may compile it"
)
"""Used instead of a schema for which the request's budget had too few steps left."""
