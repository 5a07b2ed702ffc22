"""Computes an upper bound for the cost of checking any value, from the JSON Schema alone.

A validator tries every path through a schema. Twenty lines of `$defs` that each refer twice to the
next have a million paths, and a schema that refers twice to itself doubles them with each level of
the value. Such a small input would occupy the process for hours, because validators have no time
limit. The paths are therefore counted first, on a graph whose edges are references.

Recursion is allowed if each visit of a value visits each of its parts at most once, as with trees,
linked lists and "any JSON" schemas.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from prefactor_server.validation.json_schema.graph import (
    ANY_ITEM,
    ANY_PROPERTY,
    OTHER_PROPERTY,
    Node,
    schema_graph,
)
from prefactor_server.validation.json_schema.preflight import (
    Schema,
    SchemaScan,
    UnusableSchema,
    scan_schema,
)

MAX_WEIGHT: Final = 100_000
"""The most steps that one part of a value may need."""

MAX_PATTERN_WEIGHT: Final = 16_000
"""The largest total cost of its patterns per character, in twentieths of a microsecond."""

_MAX_STEPS: Final = 1_000_000
_REPEATING: Final = frozenset({ANY_ITEM, ANY_PROPERTY, OTHER_PROPERTY})

_ENDLESS: Final = "it refers to itself in a way that multiplies with the depth of what it checks"


class Cost(NamedTuple):
    """Upper bounds for the work of a check."""

    weight: int
    """Steps through the whole schema, which are also the most for one part of a value."""

    patterns: int
    """Twentieths of a microsecond for each character of a string."""

    repeated: int = 0
    """The steps that are repeated for each item, property or level of a value."""

    has_alternatives: bool = False
    """Whether a value may match in several ways, so that a mismatch fails each of them."""

    values: int = 0
    """The members and items of the schema itself, which an explanation may copy."""


def schema_cost(schema: Schema, found: SchemaScan | None = None) -> Cost:
    """Count the paths through a schema.

    ``found`` is its scan, if it was scanned already.

    Raises:
        UnusableSchema: there are too many paths, or they cannot be counted.
    """
    found = found or scan_schema(schema)
    nodes = schema_graph(schema, found)
    costs = [Cost(0, 0)] * len(nodes)
    for group in _groups(nodes):
        cost = _group_cost(nodes, costs, group)
        for number in group:
            costs[number] = cost
    if costs[0].weight > MAX_WEIGHT:
        raise UnusableSchema("its references multiply into too many subschemas")
    if costs[0].patterns > MAX_PATTERN_WEIGHT:
        raise UnusableSchema("its patterns are too large when compiled")
    return costs[0]._replace(values=found.values)


def _group_cost(nodes: list[Node], costs: list[Cost], group: list[int]) -> Cost:
    if len(group) == 1 and not nodes[group[0]].edges:
        only = nodes[group[0]]
        return Cost(only.weight, only.patterns, has_alternatives=only.has_alternatives)
    inside = set(group)
    recursive = any(edge.target in inside for n in group for edge in nodes[n].edges)
    if recursive:
        _refuse_multiplying(nodes, group)
    own = map(nodes.__getitem__, group)
    outside = [(e.place, costs[e.target]) for n in own for e in n.edges if e.target not in inside]
    weight = sum(nodes[n].weight for n in group) + sum(cost.weight for _, cost in outside)
    repeated = sum(c.weight if place in _REPEATING else c.repeated for place, c in outside)
    return Cost(
        weight=weight,
        patterns=sum(nodes[n].patterns for n in group) + sum(c.patterns for _, c in outside),
        repeated=weight if recursive else repeated,
        has_alternatives=any(nodes[n].has_alternatives for n in group)
        or any(cost.has_alternatives for _, cost in outside),
    )


def _refuse_multiplying(nodes: list[Node], group: list[int]) -> None:
    """Reject a group of mutually recursive subschemas that visits a part more than once."""
    inside = set(group)
    reached: dict[int, Counter[str]] = {}
    steps = 0
    for number in _same_value_last(nodes, group):
        counts = _own_parts(nodes[number], inside)
        for edge in nodes[number].edges:
            if edge.place is None and edge.target in inside:
                counts.update(reached[edge.target])
                steps += len(counts)
        reached[number] = counts
        named = [count for place, count in counts.items() if place.startswith(".")]
        properties = counts[ANY_PROPERTY] + max(named, default=0)
        # The other counts are of items, which share one place.
        if max(properties, *counts.values()) > 1 or steps > _MAX_STEPS:
            raise UnusableSchema(_ENDLESS)


def _own_parts(node: Node, inside: set[int]) -> Counter[str]:
    places = [e.place for e in node.edges if e.place is not None and e.target in inside]
    if OTHER_PROPERTY in places:
        # It applies to properties without a name in this subschema, so never to the same ones.
        places = [place for place in places if not place.startswith(".")]
    return Counter(ANY_PROPERTY if place == OTHER_PROPERTY else place for place in places)


def _same_value_last(nodes: list[Node], group: list[int]) -> list[int]:
    """Order a group so that subschemas precede those that try them on the same value."""
    inside = set(group)
    waiting = {
        number: [e.target for e in nodes[number].edges if e.place is None and e.target in inside]
        for number in group
    }
    parents: dict[int, list[int]] = {number: [] for number in group}
    for number, targets in waiting.items():
        for target in targets:
            parents[target].append(number)
    open_targets = {number: len(targets) for number, targets in waiting.items()}
    order = [number for number in group if not open_targets[number]]
    for number in order:
        for parent in parents[number]:
            open_targets[parent] -= 1
            if not open_targets[parent]:
                order.append(parent)
    if len(order) < len(group):
        raise UnusableSchema("it refers to itself for the same value")
    return order


def _groups(nodes: list[Node]) -> list[list[int]]:
    """Return groups of mutually recursive subschemas, each group after those it refers to.

    Finds strongly connected components (Tarjan's algorithm), iteratively. Without back references
    there are none, because a subschema is numbered after its parent.
    """
    if all(edge.target > number for number, node in enumerate(nodes) for edge in node.edges):
        return [[number] for number in range(len(nodes) - 1, -1, -1)]
    groups: list[list[int]] = []
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_nodes: list[int] = []
    is_open: set[int] = set()
    work = [(0, 0)]
    while work:
        number, position = work.pop()
        if position == 0:
            index[number] = low[number] = len(index)
            open_nodes.append(number)
            is_open.add(number)
        edges = nodes[number].edges
        if position:
            low[number] = min(low[number], low[edges[position - 1].target])
        while position < len(edges):
            target = edges[position].target
            position += 1
            if target not in index:
                work.extend([(number, position), (target, 0)])
                break
            if target in is_open:
                low[number] = min(low[number], index[target])
        else:
            if low[number] == index[number]:
                groups.append(_close(number, open_nodes))
                is_open.difference_update(groups[-1])
    return groups


def _close(number: int, open_nodes: list[int]) -> list[int]:
    group = [open_nodes.pop()]
    while group[-1] != number:
        group.append(open_nodes.pop())
    return group
