"""JSON Schemas from untrusted sources: what is checked, flagged and refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.validation.json_schema.validator import (
    EMPTY_OBJECT_SCHEMA,
    MAX_MESSAGE,
    MAX_SCHEMA_BYTES,
    SchemaCache,
    compile_schema,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=15,
)
KEYWORDS = st.sampled_from(
    [
        "type", "properties", "items", "$ref", "allOf", "anyOf", "not", "enum", "const",
        "pattern", "minimum", "required", "$defs", "a", "$id", "additionalProperties",
        "unevaluatedProperties", "patternProperties", "contains", "if", "then", "$schema",
        "prefixItems", "dependentSchemas", "$anchor", "propertyNames", "multipleOf", "format",
        "uniqueItems",
    ]
)  # fmt: skip
VALUES = st.sampled_from(["#", "#/$defs/a", "#a", "object", "string", "a", "(?=a)", "http://x/y"])
SCHEMAS = st.recursive(
    st.booleans() | st.integers() | VALUES | st.just({}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> object:
    """An object in an object, and so on."""
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_a_payload_that_matches_has_an_empty_message() -> None:
    """A valid schema has no problem, and a matching payload is answered with an empty text."""
    schema = compile_schema({"type": "object", "properties": {"prompt": {"type": "string"}}})
    assert schema.problem is None
    assert schema.check({"prompt": "hi"}) == ""


@pytest.mark.parametrize(
    ("schema", "payload", "message"),
    [
        ({"type": "object"}, 3, '3 is not of type "object"'),
        ({"properties": {"prompt": {"type": "string"}}}, {"prompt": 3}, '"/prompt": 3 is not'),
        (
            {"properties": {"a/b~": {"items": {"minimum": 1}}}},
            {"a/b~": [1, 0]},
            '"/a~1b~0/1": 0 is',
        ),
        ({"required": ["model"]}, {}, '"model" is a required property'),
        (EMPTY_OBJECT_SCHEMA, {"x": 1}, "no properties are allowed here"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"x": 1}, "'x' was unexpected"),
        ({"properties": {"a": False}}, {"a": 1}, '"/a": no value is allowed here'),
        ({"properties": {"n": {"type": "string"}}}, {"n": None}, '"/n": null is not of type'),
        ({"properties": {"n": {"maxLength": 1}}}, {"n": "long"}, '"/n": the text is longer'),
        ({"properties": {"n": {"type": "null"}}}, {"n": [1, 2]}, '"/n": the array'),
        ({"properties": {"n": {"type": "null"}}}, {"n": {"a": 2}}, '"/n": the object'),
        ({"properties": {"n": {"maximum": 1}}}, {"n": 10**60}, '"/n": the value is greater'),
        (False, {}, "no value is allowed here"),
    ],
)
def test_a_mismatch_names_its_place(schema: object, payload: object, message: str) -> None:
    """The message says where the payload differs and what was expected there."""
    assert message in (compile_schema(schema).check(payload) or "")


def test_texts_of_a_payload_are_not_quoted() -> None:
    """A message quotes no text and no large value of a payload, and is bounded."""
    schema = compile_schema({"additionalProperties": {"type": "integer"}})
    for value in ("SECRET", ["SECRET"], {"a": "SECRET"}):
        assert "SECRET" not in (schema.check({"x": value}) or "SECRET")
    message = schema.check({"k" * 100_000: "x", "y": "z"})
    assert message
    assert len(message) <= MAX_MESSAGE


def test_a_value_wrapped_as_sensitive_is_not_quoted() -> None:
    """A sensitive value is never quoted, not even a number."""
    inner = {"properties": {"value": {"minimum": 100}}}
    schema = compile_schema({"properties": {"age": inner}})
    message = schema.check({"age": {"$sensitive": "number", "value": 42}})
    assert message == '"/age/value": the sensitive value is less than the minimum of 100'


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "strng"}, '"strng"'),
        ({"pattern": "(("}, '"(("'),
        ({"minLength": -1}, "-1"),
        ({"$ref": "#/$defs/missing"}, "/$defs/missing"),
        ({"$schema": 5}, "5"),
        (3, "an object"),
        (None, "an object"),
        ("text", "an object"),
        ([], "an object"),
        ({"title": "\ud800"}, "not JSON"),
        ({"properties": {1: {}}}, "not JSON"),
    ],
)
def test_an_invalid_schema_has_a_message(schema: object, says: str) -> None:
    """An invalid schema has a message, and payloads are not checked against it."""
    compiled = SchemaCache().compile(schema)
    assert says in (compiled.problem or "")
    assert "not checked" not in (compiled.problem or "")
    assert compiled.check({}) is None


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"patternProperties": {"(?<!a)b": {}}}, "look-around"),
        ({"pattern": r"(a)\1"}, "back-references"),
        ({"pattern": "(a{500}){100}"}, "too large"),
        ({"$ref": "https://example.com/schema"}, "another document"),
        ({"$schema": "https://example.com/dialect"}, "$schema"),
        ({"$id": "https://example.com/a", "$ref": "b"}, "another document"),
        ({"$defs": {"a": {"$id": "b", "$ref": "#/c"}}}, "its own $id"),
        ({"$dynamicRef": "#a"}, "$dynamicRef"),
        (nested(129), "more than 128 levels"),
        ({"default": [[[nested(127)]]]}, "more than 128 levels"),
        ({"enum": ["x" * MAX_SCHEMA_BYTES]}, "larger than 256 KB"),
        ({"properties": {f"p{n}": {"pattern": "a"} for n in range(65)}}, "64 patterns"),
        (
            {"allOf": [{"pattern": f"^.{{1,{n}}}$"} for n in range(250, 260)]},
            "too large when compiled",
        ),
    ],
)
def test_an_unusable_schema_has_a_reason(schema: object, says: str) -> None:
    """A schema that cannot be used for checking is flagged with the reason."""
    compiled = SchemaCache().compile(schema)
    assert compiled.problem is not None
    assert compiled.problem.startswith("Payloads are not checked against this schema: ")
    assert says in compiled.problem
    assert compiled.check({}) is None


def test_a_deeply_nested_schema_is_refused() -> None:
    """A schema of ten thousand levels is refused with a message."""
    assert SchemaCache().compile(nested(10_000)).problem
    assert compile_schema(nested(10_000)).problem


@pytest.mark.parametrize("keyword", ["$ref", "$schema", "$id"])
def test_no_address_is_ever_fetched(keyword: str) -> None:
    """A schema that names a loopback address causes no connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        address = f"http://127.0.0.1:{port}/schema.json"
        schema = compile_schema({keyword: address, "properties": {"a": {"$ref": address}}})
        assert schema.check({"a": 1}) is None
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_file_is_ever_read(tmp_path: Path) -> None:
    """A reference to a file that holds a schema is refused instead of followed."""
    file = tmp_path / "schema.json"
    file.write_text('{"type": "string"}')
    for schema in ({"$ref": file.as_uri()}, {"allOf": [{"$ref": file.as_uri() + "#"}]}):
        assert "another document" in (compile_schema(schema).problem or "")


def test_the_draft_is_2020_12_unless_the_schema_names_another() -> None:
    """`prefixItems` is a keyword by default and unknown under draft 7."""
    tuples: dict[str, object] = {"prefixItems": [{"type": "string"}]}
    draft_7 = {**tuples, "$schema": "http://json-schema.org/draft-07/schema#"}
    assert compile_schema(tuples).check([1]) != ""
    assert compile_schema(draft_7).check([1]) == ""


def test_formats_describe_and_do_not_check() -> None:
    """A format is an annotation in every draft."""
    for draft in ("http://json-schema.org/draft-07/schema#", None):
        schema = {"format": "regex"} | ({"$schema": draft} if draft else {})
        assert compile_schema(schema).check("((") == ""


def test_a_pattern_runs_in_linear_time() -> None:
    """A pattern that explodes on backtracking engines takes linear time on a million letters."""
    schema = compile_schema({"pattern": "^(a+)+$"})
    assert schema.check("a" * 1_000_000 + "!") == 'the text does not match "^(a+)+$"'


def test_a_deep_payload_raises_nothing() -> None:
    """Ten thousand levels neither raise nor overflow, even with a recursive schema."""
    assert compile_schema({"type": "object"}).check(nested(10_000)) == ""
    recursive = compile_schema({"properties": {"a": {"$ref": "#"}}})
    assert recursive.problem is None
    assert recursive.check(nested(10_000)) == ""


@pytest.mark.parametrize("payload", [{1: 2}, "\ud800", {"a": object()}, {"\ud800": 1}])
def test_an_unreadable_payload_is_not_checked(payload: object) -> None:
    """A payload that the validator cannot read is reported as unchecked."""
    wide = {"enum": list(range(20)), "pattern": "a"}
    assert compile_schema(wide).check(payload) != ""
    assert compile_schema({"type": "object"}).check(payload) in (None, "")
    assert compile_schema({"additionalProperties": {"type": "string"}}).check(payload) in (
        None,
        '"\ud800" is not of type "object"',
    )


def test_a_costly_check_is_left_out() -> None:
    """Many alternatives times a large payload is not checked; with a small payload it is."""
    schema = compile_schema({"items": {"anyOf": [{"const": f"v{n}"} for n in range(5_000)]}})
    assert schema.problem is None
    assert schema.check(["v4999"]) == ""
    assert schema.check(["v4999"] * 100_000) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"items": {"const": n}} for n in range(12)]},
        {"oneOf": [{"items": {"const": n}} for n in range(12)]},
        {"additionalProperties": {"anyOf": [{"items": {"type": "null"}}, {"items": {"const": 1}}]}},
        {"type": "object"},
    ],
)
def test_a_costly_explanation_is_left_out(schema: object) -> None:
    """A large payload that fails in every alternative is flagged without saying where."""
    compiled = compile_schema(schema)
    payload = {"x": ["a"] * 30_000} if "additionalProperties" in str(schema) else ["a"] * 30_000
    assert compiled.check(payload) == "it does not match, and is too large to find out where"


def test_a_costly_pattern_is_not_matched_on_long_texts() -> None:
    """A pattern that costs a hundred times more per character is matched on short texts only."""
    schema = compile_schema({"pattern": "[ab]*a[ab]{5000}c"})
    assert schema.problem is None
    assert schema.check("ab") == 'the text does not match "[ab]*a[ab]{5000}c"'
    assert schema.check("ab" * 50_000) is None


def test_many_patterns_on_much_text_are_left_out() -> None:
    """Many patterns on many characters are not checked either."""
    schema = compile_schema({"allOf": [{"pattern": f"^a+({n})?$"} for n in range(50)]})
    assert schema.check("a" * 100) == ""
    assert schema.check("a" * 1_000_000) is None
    assert schema.check({"a" * 1_000_000: 1, "b": ["c"]}) is None


def test_the_same_content_is_compiled_once() -> None:
    """Two schemas with the same content in any order share one compiled form."""
    schemas = SchemaCache()
    first = schemas.compile({"type": "object", "title": "x"})
    assert schemas.compile({"title": "x", "type": "object"}) is first
    assert schemas.compile({"title": "y", "type": "object"}) is not first


def test_memory_is_estimated() -> None:
    """Larger schemas and heavier patterns count as more memory."""
    schemas = SchemaCache()
    plain = schemas.compile({"enum": ["a"] * 1_000, "type": "string"}).memory
    assert plain > schemas.compile({"type": "string"}).memory > 0
    assert schemas.compile({"pattern": "[ab]*a[ab]{5000}c"}).memory > 1_000_000


def test_the_cache_is_bounded() -> None:
    """A flood of distinct schemas evicts older ones instead of growing."""
    schemas = SchemaCache(max_weight=20_000)
    first = schemas.compile({"title": "first"})
    for number in range(200):
        schemas.compile({"title": f"filler {number}"})
    assert schemas.compile({"title": "first"}) is not first


@given(schema=JSON, payload=JSON)
def test_any_json_as_a_schema_raises_nothing(schema: object, payload: object) -> None:
    """For any JSON as a schema, compiling and checking raise nothing."""
    compiled = SchemaCache().compile(schema)
    assert compiled.problem is None or len(compiled.problem) <= MAX_MESSAGE
    assert len(compiled.check(payload) or "") <= MAX_MESSAGE


@given(schema=SCHEMAS, payload=JSON)
def test_any_schema_of_real_keywords_raises_nothing(schema: object, payload: object) -> None:
    """Keywords with wrong values, cycles and dangling references raise nothing."""
    compiled = SchemaCache().compile(schema)
    message = compiled.check(payload)
    assert message is None if compiled.problem else len(message or "") <= MAX_MESSAGE
