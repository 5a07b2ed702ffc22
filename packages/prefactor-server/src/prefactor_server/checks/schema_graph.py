"""A JSON Schema as a graph: its subschemas, and which of them are tried on what.

An edge without a place is tried on the same value (`allOf`, `$ref`, …); one with a place is tried
on a part of it (`properties`, `items`, …). Reading this off the schema, before any validator sees
it, is what lets `schema_cost` say how much work a check can become.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast
from urllib.parse import unquote

from prefactor_server.checks.schema_patterns import pattern_weight
from prefactor_server.checks.schema_survey import Schema, Survey, Unchecked

ANY_ITEM: Final = "[]"
ANY_PROPERTY: Final = "{}"
OTHER_PROPERTY: Final = "{other}"
"""The place of `additionalProperties`: every property that the same subschema does not name."""

_SAME_VALUE: Final = ("not", "if", "then", "else")
_SAME_VALUE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SAME_VALUE_MAPS: Final = ("dependentSchemas", "dependencies")
_PARTS: Final = {
    "items": ANY_ITEM,
    "additionalItems": ANY_ITEM,
    "unevaluatedItems": ANY_ITEM,
    "contains": ANY_ITEM,
    "additionalProperties": OTHER_PROPERTY,
    "unevaluatedProperties": ANY_PROPERTY,
    "propertyNames": ANY_PROPERTY,
}
_PART_LISTS: Final = ("items", "prefixItems")


class Edge(NamedTuple):
    """A subschema of another: `place` is None when it is tried on the same value."""

    place: str | None
    target: int


@dataclass(slots=True)
class Node:
    """One subschema: its edges, its own weight, and what it takes from `schema_cost.Cost`."""

    edges: list[Edge] = field(default_factory=list[Edge])
    weight: int = 1
    patterns: int = 0
    has_alternatives: bool = False


def schema_graph(root: Schema, found: Survey) -> list[Node]:
    """Read a surveyed schema; its root is the first node.

    Raises:
        Unchecked: it refers to another document.
    """
    reader = _Reader(root, found)
    reader.number_of(root)
    nodes: list[Node] = []
    # Numbering a subschema queues it, so this loop ends when every reachable one has been read.
    while len(nodes) < len(reader.schemas):
        nodes.append(reader.read(reader.schemas[len(nodes)]))
    return nodes


class _Reader:
    def __init__(self, root: Schema, found: Survey) -> None:
        self.schemas: list[Schema] = []
        self._root = root
        self._anchors = found.anchors
        self._numbers: dict[int, int] = {}
        own = root.get("$id")
        self._own_address = own.rstrip("#") + "#" if isinstance(own, str) else "#"

    def number_of(self, schema: Schema) -> int:
        number = self._numbers.setdefault(id(schema), len(self.schemas))
        if number == len(self.schemas):
            self.schemas.append(schema)
        return number

    def read(self, schema: Schema) -> Node:
        targets = [*self._references(schema), *_same_value(schema), *_other_parts(schema)]
        named, patterned = _map(schema.get("properties")), _map(schema.get("patternProperties"))
        sized = (named, patterned, schema.get("enum"), schema.get("required"))
        return Node(
            edges=[Edge(place, self.number_of(target)) for place, target in targets],
            weight=1
            + sum(len(cast("list[object]", s)) for s in sized if isinstance(s, list | dict)),
            patterns=sum(map(pattern_weight, _texts([*patterned, schema.get("pattern")]))),
            has_alternatives="anyOf" in schema or "oneOf" in schema,
        )

    def _references(self, schema: Schema) -> Iterator[tuple[None, Schema]]:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return
        if reference.startswith(self._own_address):
            reference = "#" + reference[len(self._own_address) :]
        if not reference.startswith("#"):
            raise Unchecked("it refers to another document, and none is ever fetched")
        fragment = unquote(reference[1:])
        named = fragment and not fragment.startswith("/")
        target = self._anchors.get(fragment) if named else _at_pointer(self._root, fragment)
        # A reference to nothing is for the validator to report.
        yield from ((None, part) for part in _schemas([target]))


def _same_value(schema: Schema) -> Iterator[tuple[None, Schema]]:
    single = [schema.get(keyword) for keyword in _SAME_VALUE]
    listed = [part for keyword in _SAME_VALUE_LISTS for part in _list(schema.get(keyword))]
    mapped = [part for key in _SAME_VALUE_MAPS for part in _map(schema.get(key)).values()]
    yield from ((None, part) for part in _schemas([*single, *listed, *mapped]))


def _other_parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for keyword, place in _PARTS.items():
        yield from ((place, part) for part in _schemas([schema.get(keyword)]))
    for keyword in _PART_LISTS:
        yield from ((ANY_ITEM, part) for part in _schemas(_list(schema.get(keyword))))
    for name, value in _map(schema.get("properties")).items():
        yield from ((f".{name}", part) for part in _schemas([value]))
    patterned = _map(schema.get("patternProperties")).values()
    yield from ((ANY_PROPERTY, part) for part in _schemas(patterned))


def _at_pointer(value: object, pointer: str) -> object:
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            plain = key.isascii() and key.isdigit() and len(key) < len("100000000")
            index = int(key) if plain else -1
            value = dict(enumerate(cast("list[object]", value))).get(index)
        else:
            value = _map(value).get(key)
    return value


def _schemas(values: Iterable[object]) -> Iterator[Schema]:
    """Those that are subschemas; `true` and `false` cost nothing and are left out."""
    return (cast("Schema", value) for value in values if isinstance(value, dict))


def _texts(values: Iterable[object]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _map(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
