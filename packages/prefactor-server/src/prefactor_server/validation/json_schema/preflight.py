"""Scans a whole JSON Schema before anything interprets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from prefactor_server.validation.json_schema.patterns import pattern_steps

Schema: TypeAlias = Mapping[str, object]

MAX_DEPTH: Final = 128
"""The deepest nesting of objects and arrays in a schema. It allows 64 nested objects, because
each takes two levels: its own and that of its `properties`."""

MAX_PATTERNS: Final = 64
"""The most patterns in a schema. Each compiled one may take up to a megabyte."""

MAX_COMPILE_STEPS: Final = 150_000
"""The most steps for compiling one schema; see `budget`."""

_STEPS_PER_OBJECT: Final = 8
_STEPS_PER_MEMBER: Final = 6

_ANCHORS: Final = ("$anchor", "$dynamicAnchor")
_UNFOLLOWED: Final = ("$dynamicRef", "$recursiveRef")


class UnusableSchema(Exception):
    """A schema cannot be used for checking. The message explains why to its author."""


@dataclass(slots=True)
class SchemaScan:
    """The contents of a schema, including parts that a validator would ignore."""

    anchors: dict[str, Schema] = field(default_factory=dict[str, Schema])
    patterns: int = 0
    steps: int = 100
    """The steps for compiling it; see `budget`."""

    values: int = 0
    has_reference: bool = False
    has_own_addresses: bool = False


def scan_schema(root: Schema) -> SchemaScan:
    """Scan a schema.

    Raises:
        UnusableSchema: it is nested too deeply, has too many patterns, or has references that need
            a full resolver.
    """
    found = SchemaScan()
    # Draft 4 calls it "id", which is an ordinary name in examples and defaults of later drafts.
    id_keyword = "id" if "draft-04" in str(root.get("$schema")) else "$id"
    for schema in _objects(root, found):
        _count(found, schema)
        _note_anchors(found, schema)
        schema_id = schema.get(id_keyword)
        if isinstance(schema_id, str) and schema_id.startswith("#"):
            found.anchors[schema_id[1:]] = schema
        elif isinstance(schema_id, str) and schema is not root:
            found.has_own_addresses = True
    if found.has_reference and found.has_own_addresses:
        raise UnusableSchema("a subschema has its own $id, which changes the meaning of $ref")
    return found


def _objects(root: Schema, found: SchemaScan) -> Iterator[Schema]:
    # A loop rather than recursion, because clients choose the depth.
    stack: list[tuple[object, int]] = [(root, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise UnusableSchema(f"it has more than {MAX_DEPTH} levels of objects and arrays")
        if isinstance(value, dict):
            schema = cast("Schema", value)
            found.values += len(schema)
            found.steps += _STEPS_PER_OBJECT + _STEPS_PER_MEMBER * len(schema)
            yield schema
            parts: Iterable[object] = schema.values()
        else:
            items = cast("list[object]", value)
            found.values += len(items)
            found.steps += len(items)
            parts = items
        nested = [cast("object", part) for part in parts if isinstance(part, dict | list)]
        stack.extend([(part, depth + 1) for part in nested])


def _count(found: SchemaScan, schema: Schema) -> None:
    patterned = schema.get("patternProperties")
    pattern = schema.get("pattern")
    patterns = [*cast("Schema", patterned)] if isinstance(patterned, dict) else []
    if isinstance(pattern, str):
        patterns.append(pattern)
    if patterns:
        found.patterns += len(patterns)
        found.steps += sum(map(pattern_steps, patterns))
        if found.patterns > MAX_PATTERNS:
            raise UnusableSchema(f"it has more than {MAX_PATTERNS} patterns")
    found.has_reference |= "$ref" in schema


def _note_anchors(found: SchemaScan, schema: Schema) -> None:
    for keyword in _UNFOLLOWED:
        if keyword in schema:
            raise UnusableSchema(f"it uses {keyword}, which is not supported")
    for keyword in _ANCHORS:
        if isinstance(name := schema.get(keyword), str):
            found.anchors[name] = schema
