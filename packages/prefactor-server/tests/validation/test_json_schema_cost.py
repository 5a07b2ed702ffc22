"""The estimated cost of a check: schemas whose paths multiply are refused, others are not."""

from __future__ import annotations

import pytest

from prefactor_server.validation.json_schema.cost import MAX_WEIGHT, schema_cost
from prefactor_server.validation.json_schema.preflight import UnusableSchema


def chain(length: int, keyword: str, width: int) -> dict[str, object]:
    """Definitions that each refer several times to the next."""
    definitions: dict[str, object] = {
        f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * width} for n in range(length)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {"type": "string"}}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "prefixItems"])
@pytest.mark.parametrize("length", [30, 1_000])
def test_references_that_multiply_are_refused(keyword: str, length: int) -> None:
    """Two references at each of thirty steps are a billion paths, and are refused by counting."""
    with pytest.raises(UnusableSchema, match="multiply into too many"):
        schema_cost(chain(length, keyword, 2))


def test_a_long_chain_is_accepted() -> None:
    """A thousand references in a row are a thousand steps."""
    assert 1_000 < schema_cost(chain(1_000, "allOf", 1)).weight < 5_000


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"c": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
        {"properties": {"c": {"anyOf": [{"$ref": "#"}, {"$ref": "#", "title": "x"}]}}},
        {"allOf": [{"properties": {"c": {"$ref": "#"}}}, {"properties": {"c": {"$ref": "#"}}}]},
        {"properties": {"c": {"$ref": "#"}}, "patternProperties": {"c": {"$ref": "#"}}},
        {"patternProperties": {"c": {"$ref": "#"}, "^c": {"$ref": "#"}}},
        {"items": {"$ref": "#"}, "contains": {"$ref": "#"}},
        {"allOf": [{"additionalProperties": {"$ref": "#"}}], "properties": {"c": {"$ref": "#"}}},
        {"properties": {"c": {"$ref": "#"}}, "unevaluatedProperties": {"$ref": "#"}},
        {"if": {"items": {"$ref": "#"}}, "then": {"items": {"$ref": "#"}}},
        {"not": {"items": {"$ref": "#"}}, "items": {"$ref": "#"}},
        {"items": {"$ref": "#x", "allOf": [{"$ref": "#x"}]}, "$anchor": "x"},
        {"dependentSchemas": {"a": {"items": {"$ref": "#"}}}, "items": {"$ref": "#"}},
        {
            "$id": "https://example.com/x",
            "items": {"allOf": [{"$ref": "https://example.com/x#"}, {"$ref": "#"}]},
        },
    ],
)
def test_recursion_that_multiplies_with_depth_is_refused(schema: dict[str, object]) -> None:
    """A schema that visits a part twice per visit of the whole doubles with every level."""
    with pytest.raises(UnusableSchema, match="multiplies with the depth"):
        schema_cost(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#"}}},
    ],
)
def test_recursion_on_the_same_value_is_refused(schema: dict[str, object]) -> None:
    """A schema that refers to itself for the very same value has no end."""
    with pytest.raises(UnusableSchema, match="for the same value"):
        schema_cost(schema)


ANY_JSON: dict[str, object] = {
    "$ref": "#/$defs/value",
    "$defs": {
        "value": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "array", "items": {"$ref": "#/$defs/value"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
            ]
        }
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
        {"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
        {"properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}},
        {"properties": {"a": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}},
        {"$anchor": "node", "items": {"$ref": "#node"}},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "#n",
            "items": {"$ref": "#n"},
        },
        ANY_JSON,
    ],
)
def test_ordinary_recursion_is_accepted(schema: dict[str, object]) -> None:
    """Trees, linked lists and "any JSON" visit each part once, however deep the value is."""
    assert schema_cost(schema).weight < 20


def test_sizes_and_patterns_are_counted() -> None:
    """The values that a subschema compares with have a weight, and patterns are distinguished."""
    cost = schema_cost(
        {
            "oneOf": [True],
            "enum": [1, 2, 3],
            "required": ["a"],
            "properties": {"a": {"pattern": "x"}, "b": True},
            "patternProperties": {"^c": {"pattern": "y"}, "^d": False},
        }
    )
    assert (cost.weight, cost.patterns) == (1 + 3 + 1 + 2 + 2 + 1 + 1, 4)


@pytest.mark.parametrize(
    ("schema", "repeated"),
    [
        ({"properties": {"a": {"properties": {"b": {"enum": [1, 2]}}}}}, 0),
        ({"properties": {"a": {"items": {"enum": [1, 2]}}}}, 3),
        ({"additionalProperties": {"anyOf": [{}, {}]}}, 3),
        ({"items": {"items": {"enum": [1, 2]}}}, 4),
        ({"anyOf": [{"enum": [1, 2]}, {"items": {}}]}, 1),
        ({"properties": {"a": {"$ref": "#"}}}, 3),
    ],
)
def test_repeatable_and_single_parts_are_distinguished(
    schema: dict[str, object], repeated: int
) -> None:
    """Named properties occur once; items, other properties and recursion many times."""
    assert schema_cost(schema).repeated == repeated


def test_a_pattern_weighs_its_compiled_size() -> None:
    """A repeated class is heavier than a plain one; a pattern that does not compile is heaviest."""
    patterns = ("^[a-z]+$", "[ab]*a[ab]{500}c", "^.{1,255}$", "((")
    assert [schema_cost({"pattern": p}).patterns for p in patterns] == [1, 800, 4_000, 4_000]


def test_alternatives_behind_references_count() -> None:
    """Alternatives behind a reference count, and unused ones do not."""
    schema = {"$defs": {"a": {"items": {"anyOf": [{}]}}, "b": {"oneOf": [{}]}}}
    assert schema_cost({**schema, "items": {"$ref": "#/$defs/a"}}).has_alternatives
    assert not schema_cost(schema).has_alternatives


def test_references_to_one_definition_count_each_time() -> None:
    """A large definition counts each time that it is used."""
    large = {"enum": list(range(1_000))}
    names = {f"p{n}": {"$ref": "#/$defs/large"} for n in range(MAX_WEIGHT // 1_000)}
    with pytest.raises(UnusableSchema, match="multiply into too many"):
        schema_cost({"$defs": {"large": large}, "properties": names})


def test_pointers_reach_into_lists_and_escaped_names() -> None:
    """A pointer may reach any place of the document, escapes included."""
    schema: dict[str, object] = {
        "a/b": {"~c": [{}, {"enum": [1, 2, 3, 4, 5]}]},
        "allOf": [{"$ref": "#/a~1b/~0c/1"}, {"$ref": "#/a~1b/~0c/7"}, {"$ref": "#/a~1b/~0c/x"}],
    }
    assert schema_cost(schema).weight == 1 + 3 + 6
