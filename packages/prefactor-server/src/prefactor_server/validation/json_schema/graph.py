"""A JSON Schema as a graph of subschemas, with the part of the value that each is tried on.

The target of an edge without a place is tried on the same value (`allOf`, `$ref`, …), that of an
edge with a place on a part of it (`properties`, `items`, …). The graph is built before a validator
reads the schema, so that `schema_cost` can bound the work of a check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast
from urllib.parse import unquote

from prefactor_server.validation.json_schema.patterns import pattern_weight
from prefactor_server.validation.json_schema.preflight import Schema, SchemaScan, UnusableSchema

ANY_ITEM: Final = "[]"
ANY_PROPERTY: Final = "{}"
OTHER_PROPERTY: Final = "{other}"
"""The place of `additionalProperties`: all properties that the subschema does not name."""

_PLACES: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(("not", "if", "then", "else"), None),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies"), None),
    **dict.fromkeys(("items", "additionalItems", "unevaluatedItems", "contains"), ANY_ITEM),
    "prefixItems": ANY_ITEM,
    "additionalProperties": OTHER_PROPERTY,
    **dict.fromkeys(("unevaluatedProperties", "propertyNames", "patternProperties"), ANY_PROPERTY),
}
"""The keywords with subschemas, and the places these are tried on; None is the same value."""

_MAPS: Final = frozenset({"dependentSchemas", "dependencies", "patternProperties"})
_COUNTED: Final = frozenset({"properties", "patternProperties", "enum", "required"})


class Edge(NamedTuple):
    """A reference to a subschema. `place` is None when it is tried on the same value."""

    place: str | None
    target: int


@dataclass(slots=True)
class Node:
    """One subschema: its edges, its own weight, and its share of `schema_cost.Cost`."""

    edges: list[Edge] = field(default_factory=list[Edge])
    weight: int = 1
    patterns: int = 0
    has_alternatives: bool = False


def schema_graph(root: Schema, found: SchemaScan) -> list[Node]:
    """Build the graph of a scanned schema. Its root is the first node.

    Raises:
        UnusableSchema: it refers to another document.
    """
    reader = _Reader(root, found)
    reader.number_of(root)
    nodes: list[Node] = []
    # Numbering a subschema queues it, so this loop reads every reachable one.
    while len(nodes) < len(reader.schemas):
        nodes.append(reader.read(reader.schemas[len(nodes)]))
    return nodes


class _Reader:
    def __init__(self, root: Schema, found: SchemaScan) -> None:
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
        node = Node()
        for keyword, value in schema.items():
            if keyword in _COUNTED:
                node.weight += _size(value)
            if keyword == "properties":
                for name, part in _map(value).items():
                    self._link(node, f".{name}", part)
            elif keyword == "$ref":
                self._link(node, None, self._referred(value))
            elif keyword == "pattern" and isinstance(value, str):
                node.patterns += pattern_weight(value)
            elif keyword in _PLACES:
                place = _PLACES[keyword]
                for part in _subschemas(keyword, value):
                    self._link(node, place, part)
        if "patternProperties" in schema:
            node.patterns += sum(map(pattern_weight, _map(schema["patternProperties"])))
        node.has_alternatives = "anyOf" in schema or "oneOf" in schema
        return node

    def _link(self, node: Node, place: str | None, part: object) -> None:
        """Add a subschema to a node. `true` and `false` are omitted because they cost nothing."""
        if isinstance(part, dict):
            node.edges.append(Edge(place, self.number_of(cast("Schema", part))))

    def _referred(self, reference: object) -> object:
        """Return the target of a reference, or None, which the validator reports."""
        if not isinstance(reference, str):
            return None
        if reference.startswith(self._own_address):
            reference = "#" + reference[len(self._own_address) :]
        if not reference.startswith("#"):
            raise UnusableSchema("it refers to another document, which is never fetched")
        fragment = unquote(reference[1:])
        named = fragment and not fragment.startswith("/")
        return self._anchors.get(fragment) if named else _at_pointer(self._root, fragment)


def _size(value: object) -> int:
    return len(cast("list[object]", value)) if isinstance(value, list | dict) else 0


def _subschemas(keyword: str, value: object) -> Iterable[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    return _map(value).values() if keyword in _MAPS else (value,)


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


def _map(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
