"""Traced functions declare span types, from their hints or from arguments."""

from __future__ import annotations

from typing import Any

import pytest

from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.span_types.registry import SpanTypes
from prefactor_recorder.span_types.span_type import MAX_FUNCTIONS
from schema_types import NUMBER, Answer


def test_tracing_declares_a_type() -> None:
    """A traced function declares its name, its docstring and its hints."""
    types = SpanTypes()

    @types.trace("shop:find")
    def find(query: str, limit: int = 3) -> list[str]:
        """Find things in the shop.

        Slowly.
        """
        return [query] * limit

    assert types.schemas() == [
        {
            "name": "shop:find",
            "params_schema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "limit": {"type": "integer", "default": 3},
                },
                "required": ["query"],
            },
            "result_schema": {
                "type": "object",
                "properties": {"value": {"type": "array", "items": {"type": "string"}}},
            },
            "description": "Find things in the shop.",
        }
    ]
    assert find("a", 1) == ["a"]


def test_hints_may_name_later_classes() -> None:
    """A function's hints may name a class that is defined further down."""
    types = SpanTypes()

    @types.trace("a")
    def early(order: LaterOrder) -> None:  # noqa: F821 - that is the point
        """Takes what is defined below."""

    globals()["LaterOrder"] = Answer
    try:
        assert types.schemas()[0]["params_schema"]["properties"]["order"] == {
            "$ref": "#/$defs/Answer"
        }
    finally:
        del globals()["LaterOrder"]
    assert early(Answer("x")) is None


def test_a_declaration_is_stronger_than_hints() -> None:
    """In either order, a declaration by name describes the traced function's spans."""
    for declared_first in (True, False):
        types = SpanTypes()

        def buy(item: str) -> str:
            return item

        if declared_first:
            types.span_type("shop:buy", NUMBER, title="Purchase")
            types.trace("shop:buy")(buy)
        else:
            types.trace("shop:buy")(buy)
            types.span_type("shop:buy", NUMBER, title="Purchase")

        (sent,) = types.schemas()
        assert sent["params_schema"] == NUMBER
        assert sent["title"] == "Purchase"
        assert list(sent["result_schema"]["properties"]) == ["value"]


def test_a_decorator_must_agree_with_the_declaration() -> None:
    """Two titles for one name are an error, also when one of them is in a decorator."""
    types = SpanTypes()
    types.span_type("shop:buy", title="Purchase")

    with pytest.raises(ConfigurationError, match=r"'shop:buy' is declared twice.*title"):
        types.trace("shop:buy", title="Buying")(lambda: None)


def test_functions_may_share_a_type() -> None:
    """Functions that share a span type all match its schema, and each keeps its own fields."""
    types = SpanTypes()

    @types.trace("agent:tool")
    def search(query: str) -> list[str]:
        return [query]

    @types.trace("agent:tool")
    def add(a: int, b: int) -> int:
        return a + b

    (sent,) = types.schemas()
    assert [list(each["properties"]) for each in sent["params_schema"]["anyOf"]] == [
        ["tool_name", "query"],
        ["tool_name", "a", "b"],
    ]
    assert "description" not in sent
    assert (search("a"), add(1, 2)) == (["a"], 3)


def test_a_type_shared_by_too_many_functions_has_no_schema() -> None:
    """A type shared by too many functions takes any object, instead of a long list."""
    types = SpanTypes()
    for number in range(MAX_FUNCTIONS + 1):
        exec(  # noqa: S102 - functions with code of their own
            f"def f{number}(a{number}: int) -> int: return 1", namespace := {}
        )
        types.trace("agent:step")(namespace[f"f{number}"])

    assert types.schemas()[0]["params_schema"] == {"type": "object"}


def test_a_function_traced_in_a_loop_counts_once() -> None:
    """A closure traced in a loop neither grows the set nor creates new versions."""
    types = SpanTypes()

    def make() -> Any:
        @types.trace
        def inner(a: int) -> int:
            return a

        return inner

    made = [make() for _ in range(100)]
    version = types.schema_version()
    made.append(make())

    assert types.schema_version() is version
    assert len(types) == 1
    assert "inner" in types.schemas()[0]["name"]


def test_excluded_values_have_no_schema() -> None:
    """A function whose arguments and result are excluded declares that anything is allowed."""
    types = SpanTypes()

    @types.trace("login", capture_arguments=False, capture_result=False)
    def login(password: str) -> str:
        return password

    (sent,) = types.schemas()
    assert sent["params_schema"] == sent["result_schema"] == {"type": "object"}
    assert login("x") == "x"
